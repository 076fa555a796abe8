import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Control, ControlRequest } from '../../src/control/contract.ts';
import { type ControlTarget, parseRequest, refuseOther } from '../../src/control/requests.ts';
import { createControl } from '../../src/control/socket.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';

const quietLog = createLogger('warn', () => undefined);
const forever = new AbortController().signal;
const ours: ControlTarget = { dataDir: '/srv/data', systemIdentifier: '7001' };

let stateDir: string;
let path: string;
let serving: { close(): Promise<void> } | undefined;
const asked: ControlRequest[] = [];

function controlFor(target: ControlTarget): Control {
  return createControl(stateDir, { files: createFiles(quietLog), log: quietLog, taps: new Set(), target: async () => target });
}

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'control-'));
  path = join(stateDir, 'control.sock');
  asked.length = 0;
  serving = await controlFor(ours).serve(async (request) => {
    asked.push(request);
    if (request.command === 'stop') throw new DbkitError('service.unready', 'it does not stop');
    return { did: request.command };
  });
});
afterEach(async () => {
  await serving?.close();
  await rm(stateDir, { recursive: true, force: true });
});

/** What curl would see. */
function http(method: string, url: string, body = ''): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ socketPath: path, method, path: url, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => resolve({ status: response.statusCode!, text }));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

/** A client that connects and keeps the line open. */
function client(says = ''): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      if (says) socket.write(says);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

describe('a request says whose data it is about', () => {
  test('for the same data it is answered', async () => {
    expect(await controlFor(ours).ask({ command: 'restart', service: 'postgresql' }, forever)).toEqual({ did: 'restart' });
    expect(asked).toEqual([{ command: 'restart', service: 'postgresql' }]);
  });

  test.each<[string, ControlTarget]>([
    ['another data directory', { dataDir: '/srv/other', systemIdentifier: null }],
    ['another cluster in a directory of the same name', { dataDir: '/srv/data', systemIdentifier: '7002' }],
  ])('%s is refused, and nothing is done', async (_what, target) => {
    for (const command of ['ping', 'shutdown', 'reload'] as const)
      await expect(controlFor(target).ask({ command }, forever)).rejects.toMatchObject({ code: 'control.elsewhere' });
    const reinitialize = { command: 'recover', request: { dryRun: false, strategy: 'reinitialize' } } as const;
    await expect(controlFor(target).ask(reinitialize, forever)).rejects.toMatchObject({ code: 'control.elsewhere' });
    expect(asked).toEqual([]);
  });

  test('a pg_control that cannot be read on either side leaves the directory to decide', () => {
    refuseOther({ dataDir: '/srv/data', systemIdentifier: null }, ours);
    refuseOther(ours, { dataDir: '/srv/data', systemIdentifier: null });
  });

  test('a second supervisor for other data does not take the socket over', async () => {
    const other = controlFor({ dataDir: '/srv/other', systemIdentifier: null });
    await expect(other.serve(async () => undefined)).rejects.toMatchObject({ code: 'control.elsewhere' });
    expect(await controlFor(ours).ask({ command: 'ping' }, forever)).toEqual({ did: 'ping' });
  });
});

describe('HTTP', () => {
  test('curl reads the status without saying whose data it means', async () => {
    const { status, text } = await http('GET', '/status');
    expect([status, JSON.parse(text)]).toEqual([200, { ok: true, value: { did: 'status' } }]);
  });

  test('a failure has a status of HTTP, and travels whole', async () => {
    const { status, text } = await http('POST', '/stop', JSON.stringify({ target: ours }));
    expect(status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({ ok: false, failure: { code: 'service.unready', message: 'it does not stop' } });
  });

  test.each<[string, string, string, string]>([
    ['a command that there is not', 'POST', '/destroy', '{}'],
    ['a name of the prototype', 'POST', '/constructor', '{}'],
    ['a change asked for with GET', 'GET', '/shutdown', ''],
    ['no JSON', 'POST', '/ping', '{'],
    ['JSON that is no object', 'POST', '/ping', '[]'],
    ['no target', 'POST', '/shutdown', '{}'],
    ['a field that nobody knows', 'POST', '/ping', JSON.stringify({ target: ours, more: 1 })],
    ['a service that is no name', 'POST', '/stop', JSON.stringify({ target: ours, service: {} })],
    ['a restore without a wish', 'POST', '/restore', JSON.stringify({ target: ours, dryRun: true })],
    ['a strategy that there is not', 'POST', '/recover', JSON.stringify({ target: ours, request: { dryRun: true, strategy: 'pray' } })],
    ['more than fits', 'POST', '/ping', JSON.stringify({ target: ours, more: 'x'.repeat(100_000) })],
  ])('%s is an error, and nothing is done', async (_what, method, url, body) => {
    const { status, text } = await http(method, url, body);
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ ok: false, failure: { code: 'usage.invalid' } });
    expect(asked).toEqual([]);
  });

  test('bytes that are no HTTP end the connection, not the supervisor', async () => {
    const socket = await client('{"command":"ping"}\n');
    await new Promise((resolve) => socket.resume().once('close', resolve));
    expect(await controlFor(ours).ask({ command: 'ping' }, forever)).toEqual({ did: 'ping' });
  });

  test('every command of the contract is understood', () => {
    const recover = { request: { dryRun: true } };
    const restore = { dryRun: true, request: { source: 'backup', label: 'latest' } };
    for (const command of ['ping', 'status', 'stop', 'start', 'restart', 'reload', 'shutdown'] as const)
      expect(parseRequest(command, { target: ours }).request).toEqual({ command });
    expect(parseRequest('recover', { target: ours, ...recover }).request).toEqual({ command: 'recover', ...recover });
    expect(parseRequest('restore', { target: ours, ...restore }).request).toEqual({ command: 'restore', ...restore });
  });
});

describe('clients that idle', () => {
  test('do not hold the stop up', async () => {
    const idle = await Promise.all([client(), client('POST /ping HTTP/1.1\r\nHost: d'), client('')]);
    const begunMs = performance.now();
    await serving!.close();
    expect(performance.now() - begunMs).toBeLessThan(3_000);
    for (const socket of idle) socket.destroy();
  });

  test('make room for whoever has something to say', async () => {
    const idle = await Promise.all(Array.from({ length: 200 }, () => client().catch(() => undefined)));
    expect(await controlFor(ours).ask({ command: 'ping' }, forever)).toEqual({ did: 'ping' });
    const isOpen = (): number => idle.filter((socket) => socket !== undefined && !socket.destroyed).length;
    await vi.waitFor(() => expect(isOpen(), 'descriptors are kept for the server').toBeLessThanOrEqual(64), { timeout: 3_000 });
    for (const socket of idle) socket?.destroy();
  });
});

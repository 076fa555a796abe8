import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { findTools } from '../../src/backups/dump/tools.ts';
import { askServer } from '../../src/cluster/server.ts';
import { layerConfig } from '../../src/config/layers.ts';
import { connectionProbe } from '../../src/health/probes/connection-probe.ts';
import { createSessions } from '../../src/health/probes/sessions.ts';
import { isAllowed } from '../../src/instance/begin-session.ts';
import { parseUrl } from '../../src/instance/connection-string.ts';
import { openAsSuperuser, peerOf } from '../../src/instance/sessions.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { testSystem } from '../backups/copy-engine.fixture.ts';

/** Somebody who is not the server, or stands before it, asks for the password; "Message Formats" of PostgreSQL's documentation. */
const SECRET = 'the superuser’s password';
const signal = new AbortController().signal;
const message = (letter: string, ...parts: readonly (number | string | Buffer)[]): Buffer => {
  const body = Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(part);
      if (typeof part !== 'number') return part;
      const word = Buffer.alloc(4);
      word.writeInt32BE(part);
      return word;
    }),
  );
  const head = Buffer.alloc(5);
  head.write(letter);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const OK = message('R', 0);
const CLEAR = message('R', 3);
const SALT = Buffer.from([1, 2, 3, 4]);
const MD5 = message('R', 5, SALT);
const SASL = message('R', 10, 'SCRAM-SHA-256\0\0');
const READY = message('Z', 'I');

let says: readonly Buffer[];
let heard: Buffer[];
let port: number;

beforeEach(async () => {
  [says, heard] = [[], []];
  const clients: Socket[] = [];
  const server = createServer((client) => {
    clients.push(client);
    client.on('error', () => undefined);
    let waiting = says;
    client.on('data', (words) => {
      heard.push(words);
      if (words.length === 8) return void client.write('N'); // SSLRequest: there is no TLS.
      const [next, ...rest] = waiting;
      waiting = rest;
      if (next === undefined) client.destroy();
      else client.write(next);
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    for (const client of clients) client.destroy();
    server.close();
  });
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

const address = () => ({ socketDir: '127.0.0.1', port, superuser: 'postgres', superuserPassword: new Secret(SECRET) });
const enter = (more: object = {}) => openAsSuperuser({ ...address(), ...more }, 'postgres', { connectTimeoutMs: 5_000 }, signal);
const wasTold = (): boolean => Buffer.concat(heard).includes(SECRET);

test.each([
  ['at once', () => [CLEAR]],
  ['behind a question for a hash', () => [Buffer.concat([CLEAR, MD5])]],
  ['behind a question for SCRAM', () => [SASL, CLEAR]],
  ['in one breath with SCRAM', () => [Buffer.concat([SASL, CLEAR])]],
  ['twice', () => [Buffer.concat([CLEAR, CLEAR])]],
])('whoever asks for the password in clear text over TCP is told nothing: %s', async (_name, answers) => {
  says = answers();
  await expect(enter()).rejects.toMatchObject({
    code: 'recovery.refused',
    message: expect.stringMatching(/asks for the password in clear text.*was not sent/),
    hint: expect.stringContaining('PGREQUIREAUTH=password'),
  });
  expect(wasTold()).toBe(false);
});

test.each(['allow', 'prefer'] as const)('nor where TLS is only wished for: %s', async (sslMode) => {
  says = [CLEAR];
  await expect(enter({ sslMode })).rejects.toMatchObject({ code: 'recovery.refused' });
  expect(wasTold()).toBe(false);
});

test('whoever has said that it may be asked so is obeyed: LDAP, PAM', async () => {
  says = [CLEAR, Buffer.concat([OK, READY])];
  const session = enter({ requireAuth: 'password' });
  await session.then(
    (one) => one.end(),
    () => undefined,
  );
  expect(wasTold()).toBe(true);
});

test('a hash is given as before, and not where SCRAM is required', async () => {
  says = [MD5];
  await expect(enter()).rejects.toMatchObject({ code: 'service.unready' });
  const inner = createHash('md5').update(`${SECRET}postgres`).digest('hex');
  const hash = createHash('md5').update(Buffer.from(inner)).update(SALT).digest('hex');
  expect(Buffer.concat(heard).includes(`md5${hash}`)).toBe(true);
  heard = [];
  await expect(enter({ requireAuth: 'scram-sha-256' })).rejects.toMatchObject({ code: 'recovery.refused' });
  expect(Buffer.concat(heard).includes('md5')).toBe(false);
});

test.each([
  ['no question at all', () => [Buffer.concat([OK, READY])]],
  ['SCRAM that is not finished', () => [SASL, Buffer.concat([OK, READY])]],
])('a server that must know the password has to prove it: %s', async (_name, answers) => {
  says = answers();
  await expect(enter({ requireAuth: 'scram-sha-256' })).rejects.toMatchObject({ code: 'recovery.refused' });
});

test.each([
  [undefined, false, ['md5', 'scram-sha-256', 'none']],
  [undefined, true, ['password', 'md5', 'scram-sha-256', 'none']],
  ['password', false, ['password']],
  ['scram-sha-256,none', true, ['scram-sha-256', 'none']],
  ['!md5,!none', false, ['password', 'scram-sha-256']],
] as const)('require_auth %s, proven: %s', (requireAuth, isProven, allowed) => {
  const methods = ['password', 'md5', 'scram-sha-256', 'none'] as const;
  expect(methods.filter((method) => isAllowed(method, { requireAuth, isProven }))).toEqual(allowed);
});

test('the URL has libpq’s name for it, and refuses what is none', () => {
  expect(parseUrl('postgresql://db/x?require_auth=password,md5')).toMatchObject({ requireAuth: 'password,md5' });
  for (const wrong of ['clear', 'password,', 'password,!md5'])
    expect(() => parseUrl(`postgresql://db/x?require_auth=${wrong}`)).toThrow(/require_auth/);
});

test('PostgreSQL’s own tools are told the same', async () => {
  expect(await peerOf(address())).toEqual({ PGREQUIREAUTH: '!password' });
  expect(await peerOf({ ...address(), requireAuth: 'password' })).toEqual({ PGREQUIREAUTH: 'password' });
  expect(await peerOf({ ...address(), sslMode: 'verify-full' })).toEqual({});
  expect(await peerOf({ ...address(), sslMode: 'require' })).toEqual({ PGREQUIREAUTH: '!password' });
  expect(await peerOf({ ...address(), socketDir: '/tmp', requireAuth: 'password' })).toEqual({ PGREQUIREAUTH: '' });
  const folder = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['pg_dump', 'pg_restore']) writeFileSync(join(folder, name), '', { mode: 0o755 });
  const environments: (Readonly<Record<string, string>> | undefined)[] = [];
  const run = async ({ env }: { readonly env?: Readonly<Record<string, string>> }) => {
    environments.push(env);
    return { exitCode: 0, stdout: 'pg_dump (PostgreSQL) 15.1', stderr: '' };
  };
  const system = { ...(await testSystem()), childEnvironment: { PATH: folder }, runner: { run, attempt: run } };
  const { config } = layerConfig({ file: undefined, environment: [], flags: [] });
  const there = { ...config, postgresql: { ...config.postgresql, ...address(), connectionOnly: true as const } };
  const tools = await findTools(15, { config: there, system, owner: undefined }, signal);
  await tools.run('pg_dump', [], signal, { database: 'app' });
  expect(environments.at(-1)).toMatchObject({ PGHOST: '127.0.0.1', PGREQUIREAUTH: '!password' });
});

test('a member of a cluster that asks so lives: it is not taken for one that is silent', async () => {
  says = [CLEAR];
  const { superuser, superuserPassword } = address();
  expect(await askServer({ host: '127.0.0.1', port }, { superuser, superuserPassword }, signal)).toMatchObject({ kind: 'refused' });
  expect(wasTold()).toBe(false);
});

test('health says that it does not know, and what to type', async () => {
  says = [CLEAR];
  const { clock } = await testSystem();
  const { config } = layerConfig({ file: undefined, environment: [], flags: [] });
  const there = { ...config, postgresql: { ...config.postgresql, ...address(), connectionOnly: true as const } };
  const probe = await connectionProbe(there.postgresql, createSessions(there, clock)).check(signal);
  expect(probe).toMatchObject({ status: 'unknown', data: { why: 'own' }, hint: expect.stringContaining('PGREQUIREAUTH') });
  expect(wasTold()).toBe(false);
});

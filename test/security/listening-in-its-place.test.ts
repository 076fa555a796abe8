import { once } from 'node:events';
import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { findTools } from '../../src/backups/dump/tools.ts';
import { layerConfig } from '../../src/config/layers.ts';
import { connectionProbe } from '../../src/health/probes/connection-probe.ts';
import { createSessions } from '../../src/health/probes/sessions.ts';
import { openAsSuperuser, peerOf } from '../../src/instance/sessions.ts';
import { runPsql } from '../../src/instance/sql.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { testSystem } from '../backups/copy-engine.fixture.ts';
import { isRoot } from '../harness/as-user.ts';

/** The server is down, its socket's folder is one like /tmp, and a stranger listens there, who asks everybody for the password. */
const STRANGER = 54_321;
const PORT = 5432;
const SECRET = 'the superuser’s password';
const signal = new AbortController().signal;
let folder: string;
let dataDir: string;
let heard: Buffer[];
let onStartup: () => void;
const socket = (): string => join(folder, `.s.PGSQL.${PORT}`);
/** AuthenticationCleartextPassword ("Message Formats" of PostgreSQL's documentation). */
const ASK = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
const saysPassword = (): boolean => Buffer.concat(heard).includes(SECRET);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o1777);
  dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  [heard, onStartup] = [[], () => undefined];
  const clients: Socket[] = [];
  const server = createServer((client) => {
    clients.push(client);
    client.on('error', () => undefined);
    client.once('data', (startup) => {
      heard.push(startup);
      onStartup();
      client.write(ASK);
      client.on('data', (answer) => {
        heard.push(answer);
        client.destroy();
      });
    });
  }).listen(socket());
  onTestFinished(() => {
    for (const client of clients) client.destroy();
    server.close();
  });
  await once(server, 'listening');
});

const address = () => ({ socketDir: folder, port: PORT, superuser: 'postgres', superuserPassword: new Secret(SECRET), dataDir });
const enter = (more: object = {}) => openAsSuperuser({ ...address(), ...more }, 'postgres', { connectTimeoutMs: 20_000 }, signal);
const configOf = () =>
  layerConfig({
    file: {
      path: 'dbkit.yaml',
      value: { postgresql: { dataDir, socketDir: folder, port: PORT, superuserPassword: SECRET, binDir: folder } },
    },
    environment: [],
    flags: [],
  }).config;

test.runIf(isRoot)('a stranger who listens is told nothing', async () => {
  chownSync(socket(), STRANGER, STRANGER);
  await expect(enter()).rejects.toMatchObject({ code: 'data.owner', message: expect.stringContaining(`uid ${STRANGER}`) });
  expect(heard).toEqual([]);
});

test.runIf(isRoot)('nor one who comes when the server goes, between the first packet and the password', async () => {
  onStartup = () => chownSync(socket(), STRANGER, STRANGER);
  await expect(enter()).rejects.toMatchObject({ code: 'data.owner' });
  expect(heard).toHaveLength(1);
  expect(saysPassword()).toBe(false);
});

test.runIf(isRoot)('nor one behind a link, whoever has placed that', async () => {
  renameSync(socket(), join(folder, 'elsewhere'));
  symlinkSync(join(folder, 'elsewhere'), socket());
  lchownSync(socket(), STRANGER, STRANGER);
  await expect(enter()).rejects.toMatchObject({ code: 'data.owner' });
  lchownSync(socket(), 0, 0);
  chownSync(join(folder, 'elsewhere'), STRANGER, STRANGER);
  await expect(enter()).rejects.toMatchObject({ code: 'data.owner' });
  expect(heard).toEqual([]);
});

test('the one who asks is spoken to', async () => {
  await expect(enter()).rejects.toMatchObject({ code: 'service.unready' });
  expect(saysPassword()).toBe(true);
});

test.runIf(isRoot)('and so is the owner of the data', async () => {
  chownSync(dataDir, STRANGER, STRANGER);
  chownSync(socket(), STRANGER, STRANGER);
  await expect(enter()).rejects.toMatchObject({ code: 'service.unready' });
  expect(saysPassword()).toBe(true);
});

test.runIf(isRoot)('a server of which there is nothing but a connection is whom its URL names, as with psql', async () => {
  chownSync(socket(), STRANGER, STRANGER);
  await expect(enter({ connectionOnly: true })).rejects.toMatchObject({ code: 'service.unready' });
  expect(await peerOf({ ...address(), connectionOnly: true })).toEqual({});
});

test.runIf(isRoot)('tools of PostgreSQL are not started for a stranger, and are told whose the server is', async () => {
  for (const name of ['pg_dump', 'pg_restore', 'psql']) writeFileSync(join(folder, name), '', { mode: 0o755 });
  const environments: (Readonly<Record<string, string>> | undefined)[] = [];
  const run = async ({ env }: { readonly env?: Readonly<Record<string, string>> }) => {
    environments.push(env);
    return { exitCode: 0, stdout: 'pg_dump (PostgreSQL) 15.1', stderr: '' };
  };
  const system = { ...(await testSystem()), childEnvironment: { PATH: folder }, runner: { run, attempt: run } };
  const tools = await findTools(15, { config: configOf(), system, owner: undefined }, signal);
  await tools.run('pg_dump', [], signal, { database: 'app' });
  expect(environments.at(-1)).toMatchObject({ PGREQUIREPEER: 'root' });
  const count = environments.length;
  chownSync(socket(), STRANGER, STRANGER);
  await expect(tools.run('pg_dump', [], signal, { database: 'app' })).rejects.toMatchObject({ code: 'data.owner' });
  expect(environments).toHaveLength(count);
  const psql = runPsql(
    { config: configOf(), ...system, commandEnvironment: { PATH: folder }, signals: {} as never },
    { database: undefined, asSuperuser: true, args: [] },
  );
  await expect(psql).rejects.toMatchObject({ code: 'data.owner' });
});

test.runIf(isRoot)('health says that it does not know, which is no reason to recover a server', async () => {
  chownSync(socket(), STRANGER, STRANGER);
  const { clock } = await testSystem();
  const config = configOf();
  const probe = await connectionProbe(config.postgresql, createSessions(config, clock)).check(signal);
  expect(probe).toMatchObject({ status: 'unknown', data: { why: 'foreign' } });
});

test('the application’s password is not told to whoever has the port of a server that is down', async () => {
  const stranger = createServer((client) => {
    client.on('error', () => undefined);
    client.on('data', (words) => {
      heard.push(words);
      client.write(ASK);
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void stranger.close());
  await once(stranger, 'listening');
  const { port } = stranger.address() as AddressInfo;
  const postgresql = { dataDir, socketDir: folder, port, listenAddresses: '127.0.0.1', password: SECRET };
  const { config } = layerConfig({ file: { path: 'dbkit.yaml', value: { postgresql } }, environment: [], flags: [] });
  const { clock } = await testSystem();
  const attempt = await createSessions(config, clock).during(signal, (open) => open.application());
  expect(attempt).toMatchObject({ refusal: { kind: 'silent' } });
  expect(heard).toEqual([]);
});

import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { StampedAlert } from '../../src/alerts/alert.ts';
import type { ConfigInput } from '../../src/config/config.ts';
import type { MonitorCheck } from '../../src/monitor/check.ts';
import type { MonitorReport } from '../../src/monitor/pause.ts';
import { ask } from '../harness/ask.ts';
import { crash, postmasterOf, truncateTo } from '../harness/breaking.ts';
import { boot, readStatus, run, start } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { freeze, until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;

/** Thresholds for a test's patience; alerts go to a file. */
async function open(more: ConfigInput['monitor'] = {}): Promise<Instance> {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await configure(instance, {
    monitor: { maxFailures: 2, cooldownSeconds: 0, maxRecoveries: 2, intervalSeconds: 0.2, ...more },
    health: { timeoutSeconds: 1 },
    alerts: { environment: 'test', channels: { diary: { type: 'file', path: join(instance.root, 'alerts.jsonl') } } },
  });
  return instance;
}
async function report<T>(instance: Instance, ...words: string[]): Promise<T> {
  const { stdout, stderr } = await run(instance, [...words, '--json']);
  const { report: given } = JSON.parse(stdout) as { report?: T };
  if (!given) throw new Error(stdout + stderr);
  return given;
}
const once = (instance: Instance): Promise<MonitorCheck> => report(instance, 'monitor', '--once');
async function alerts({ root }: Instance): Promise<StampedAlert[]> {
  const text = await readFile(join(root, 'alerts.jsonl'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as StampedAlert);
}
const told = async (instance: Instance): Promise<string[]> =>
  (await alerts(instance)).map(({ severity, title }) => `${severity}: ${title}`);
const down = async (instance: Instance): Promise<unknown> => run(instance, ['down', '--for', '1s']);

test('a server that was killed with its supervisor is recovered at the second failed check, with every row, and people are told', async () => {
  const instance = await open();
  const running = await boot(instance);
  await addRows(instance, known.ledger + 1, 10);
  await crash(instance, running);
  expect(await once(instance)).toMatchObject({ verdict: 'failed', action: 'count', recovery: null });
  expect(await told(instance), 'once may be chance').toEqual([]);
  const second = await once(instance);
  expect(second).toMatchObject({ action: 'recover', recovery: { ok: true } });
  await expectAllRows(instance, 10);
  expect(await told(instance)).toEqual([
    'ERROR: the server failed',
    'WARNING: a recovery is under way',
    'SUCCESS: the server was recovered',
  ]);
  expect((await alerts(instance)).at(-1)).toMatchObject({ environment: 'test', lines: expect.arrayContaining(['Nothing is lost.']) });
  expect((await run(instance, ['monitor', '--once'])).code).toBe(0);
  await down(instance);
});

test('a supervised server that is hung goes on, without losing a row; a slow one and a full one are left alone', async () => {
  const instance = await open();
  const running = await boot(instance);
  await freeze(await postmasterOf(instance));
  await once(instance);
  expect(await once(instance)).toMatchObject({
    action: 'recover',
    recovery: { ok: true, words: expect.stringMatching(/stopped by a signal/) },
  });
  await expectAllRows(instance, 0);

  await ask(instance, 'app', 'ALTER ROLE app PASSWORD NULL');
  for (let check = 0; check < 4; check += 1) expect((await once(instance)).action, 'a lost password is for a person').toBe('none');
  expect(await told(instance)).toContain('ERROR: authentication is critical');
  await running.stop();
});

nightly('what keeps failing is given up, said once, and stays as it is until a person resumes', async () => {
  const instance = await open({ maxRecoveries: 1, startCommand: ['false'] });
  const running = await boot(instance);
  await crash(instance, running);
  await once(instance);
  expect((await once(instance)).recovery).toMatchObject({ ok: false });
  await once(instance);
  const third = await run(instance, ['monitor', '--once', '--json']);
  expect(third.code).toBe(2);
  expect(JSON.parse(third.stdout).report).toMatchObject({ action: 'give-up' });
  expect((await once(instance)).action).toBe('none');
  expect((await told(instance)).filter((line) => line.startsWith('CRITICAL'))).toEqual([
    'CRITICAL: the server could not be recovered',
    'CRITICAL: the server stays down until a person looks',
  ]);
  await report<MonitorReport>(instance, 'monitor', 'resume');
  await once(instance);
  expect((await once(instance)).action).toBe('recover');
});

test('a planned stop is no failure', async () => {
  const instance = await open();
  await boot(instance);
  expect((await once(instance)).verdict).toBe('well');
  expect((await run(instance, ['down', '--for', '1h'])).code).toBe(0);
  for (let check = 0; check < 3; check += 1) expect((await once(instance)).action).toBe('none');
  expect(await told(instance)).toEqual([]);
  const { state } = await report<MonitorReport>(instance, 'monitor', 'status');
  expect(Date.parse(state.pausedUntil!) - Date.now()).toBeGreaterThan(3_000_000);
});

nightly('two monitors: the second is told of the first; one inside the entrypoint brings a damaged server back', async () => {
  const instance = await open({ enabled: true });
  const running = await boot(instance);
  await until(
    async () => existsSync(join(instance.stateDir, 'monitor.json')),
    () => running.words(),
  );
  const second = await run(instance, ['monitor', '--once']);
  expect(second, second.stderr).toMatchObject({ code: 75, stderr: expect.stringMatching(/in use by a monitor/) });
  await freeze(await postmasterOf(instance));
  await until(
    async () => /go on now/.test((await readFile(join(instance.stateDir, 'monitor.json'), 'utf8')).toString()),
    () => running.words(),
  );
  await expectAllRows(instance, 0);
  expect((await readStatus(instance))?.services[0]?.state).toBe('ready');
  expect((await running.stop()).code).toBe(0);
});

nightly('a torn memory and a monitor that was killed in the middle of a recovery change nothing for the next one', async () => {
  const instance = await open();
  const running = await boot(instance);
  await addRows(instance, known.ledger + 1, 10);
  await crash(instance, running);
  await once(instance);
  const killed = start(instance, ['monitor', '--once']);
  await until(
    async () => /recovering/.test(await readFile(join(instance.stateDir, 'monitor.json'), 'utf8')),
    () => killed.words(),
  );
  expect((await killed.stop('SIGKILL')).signal).toBe('SIGKILL');
  await writeFile(join(instance.stateDir, 'monitor.json'), '{"schema":"dbk');
  await once(instance);
  const next = await once(instance);
  expect(next.verdict === 'well' || next.recovery?.ok, JSON.stringify(next)).toBe(true);
  await expectAllRows(instance, 10);
  await down(instance);
});

test('a damaged data directory is restored from the backup, and the alert says what that cost', async () => {
  const instance = await open();
  const running = await boot(instance);
  expect((await run(instance, ['backup', 'create'])).code).toBe(0);
  await addRows(instance, known.ledger + 1, 10);
  await crash(instance, running);
  await truncateTo(instance, 'global/pg_control', 0);
  await once(instance);
  expect((await once(instance)).recovery).toMatchObject({ ok: true, report: { decision: 'restore' } });
  await expectAllRows(instance, 10);
  await down(instance);
});

nightly('the folder of a database that only the server knows is gone while it runs: it comes back with every row', async () => {
  const instance = await open();
  await boot(instance);
  await ask(instance, 'postgres', 'CREATE DATABASE fresh'); // In no inventory: that is written at a clean stop.
  await ask(instance, 'fresh', 'CREATE TABLE kept AS SELECT generate_series(1, 100) AS id');
  expect((await run(instance, ['backup', 'create'])).code).toBe(0);
  await ask(instance, 'fresh', 'INSERT INTO kept SELECT generate_series(101, 150)');
  const [{ oid } = { oid: '' }] = await ask<{ oid: string }>(
    instance,
    'postgres',
    "SELECT oid::text FROM pg_database WHERE datname = 'fresh'",
  );
  await rm(join(instance.dataDir, 'base', oid), { recursive: true });
  expect(await once(instance)).toMatchObject({ verdict: 'failed', action: 'count' });
  const { recovery } = await once(instance);
  expect(recovery).toMatchObject({ ok: true, words: expect.stringContaining('it was restarted'), report: { decision: 'restore' } });
  expect(await ask(instance, 'fresh', 'SELECT count(*)::int AS rows FROM kept')).toEqual([{ rows: 150 }]);
  await expectAllRows(instance, 0);
  await down(instance);
});

test('a server with no connection left is not recovered', async () => {
  const instance = await open();
  await configure(instance, {
    monitor: { maxFailures: 1, cooldownSeconds: 0 },
    postgresql: { settings: { max_connections: 4, superuser_reserved_connections: 1, max_wal_senders: 0 } },
  });
  const running = await boot(instance);
  const clients = Array.from(
    { length: 8 },
    () => new pg.Client({ host: instance.socketDir, port: instance.port, user: 'postgres', database: 'app' }),
  );
  for (const client of clients) client.on('error', () => undefined);
  await Promise.all(clients.map((client) => client.connect().catch(() => undefined)));
  const full = await once(instance);
  expect(full).toMatchObject({ verdict: 'unwell', action: 'none' });
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  await running.stop();
});

nightly('a channel that is down holds nothing up, and its secret is in no log', async () => {
  const instance = await open();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    response.statusCode = 500;
    response.end('no');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const secret = join(instance.root, 'hook');
  await writeFile(secret, `http://127.0.0.1:${(server.address() as AddressInfo).port}/s3cret\n`);
  await configure(instance, {
    monitor: { maxFailures: 1, cooldownSeconds: 0, intervalSeconds: 0.2 },
    health: { timeoutSeconds: 1 },
    alerts: { channels: { hook: { type: 'webhook', url: { file: secret } } } },
  });
  const running = await boot(instance);
  await crash(instance, running);
  const watching = start(instance, ['monitor']);
  await until(
    async () => /recovered in/.test(watching.words()) && requests.length > 0,
    () => watching.words(),
  );
  await expectAllRows(instance, 0);
  await sleep(100);
  const { stderr } = await watching.stop('SIGTERM');
  expect(stderr).not.toMatch(/s3cret/);
  const tested = await run(instance, ['alert', 'test']);
  expect(tested.code).toBe(69);
  expect(tested.stdout + tested.stderr).toMatch(/hook: .*the answer was 500: no/);
  expect(tested.stdout + tested.stderr).not.toMatch(/s3cret/);
  await down(instance);
});

nightly('a check that may not recover leaves that to another process, whose own check then does it', async () => {
  const instance = await open();
  const running = await boot(instance);
  await crash(instance, running);
  const watch = () => run(instance, ['monitor', '--once', '--no-recover']);
  expect((await watch()).code, 'the first failure is counted').toBe(2);
  for (let check = 0; check < 2; check += 1) expect((await watch()).code, 'a recovery is due').toBe(69);
  expect(await told(instance)).toEqual([]);
  expect(await once(instance)).toMatchObject({ action: 'recover', recovery: { ok: true }, state: { recoveries: 1 } });
  expect((await watch()).code).toBe(0);
  await expectAllRows(instance, 0);
  await down(instance);
});

test('systemd is told that the monitor is ready, what it sees, and that it lives', async () => {
  const instance = await open();
  const running = await boot(instance);
  const bin = join(instance.root, 'bin');
  const heard = join(instance.root, 'heard');
  await mkdir(bin);
  await writeFile(join(bin, 'systemd-notify'), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >>${heard}\n`, { mode: 0o755 });
  const env = { PATH: `${bin}:${instance.env['PATH']}`, NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '200000' };
  const watching = start(instance, ['monitor'], { env });
  const lines = async (): Promise<string[]> => (await readFile(heard, 'utf8').catch(() => '')).split('\n');
  await until(
    async () =>
      (await lines()).filter((line) => line.endsWith('WATCHDOG=1')).length > 3 && (await lines()).some((line) => line.includes('STATUS=')),
    () => 'no beat is heard',
  );
  await watching.stop();
  expect(await lines()).toEqual(expect.arrayContaining(['/run/notify READY=1', '/run/notify STATUS=well: all is well']));
  await running.stop();
});

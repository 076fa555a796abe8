import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, vi } from 'vitest';
import type { Backup } from '../../src/backups/backup.ts';
import { type BackupReport, takeBackup } from '../../src/backups/take-backup.ts';
import { createCarrier } from '../../src/cluster/backup-carrier.ts';
import {
  idsIn,
  initdb,
  installations,
  owner,
  run,
  signal,
  startLoad,
  type TestServer,
  testConfig,
  testSystem,
} from '../backups/copy-engine.fixture.ts';
import { execute, expectAccepted, openScene } from '../backups/scene.fixture.ts';
import { isRoot } from '../harness/as-user.ts';
import { everywhere, nightly } from '../harness/tier.ts';
import { type FakeCluster, fakeCluster, recorded } from './fake-cluster.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const { within, start, baseFor } = openScene();
const LONG_CHECKPOINTS = { checkpoint_timeout: '1h', max_wal_size: '2GB' };

/** n1 and n2 are there, n3 is dead; its REST answers are made from `servers` and `leader`. */
interface Pair {
  leader: 'n1' | 'n2';
  readonly servers: Record<'n1' | 'n2', TestServer>;
}
let pair: Pair;
let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await fakeCluster('4.0.7', (member, request) => {
    if (member === 'n3') return { status: 500, body: '' };
    if (request !== 'GET /cluster') return undefined;
    const members = Object.entries(pair.servers).map(([name, { socketDir, port }]) => ({
      name,
      role: name === pair.leader ? 'leader' : 'replica',
      state: 'running',
      host: socketDir,
      port,
    }));
    return { status: 200, body: { ...(recorded('4.0.7', 'cluster') as object), members } };
  });
});
afterEach(() => cluster.close());

/** What a member's timer does. */
async function timerOf(name: 'n1' | 'n2'): Promise<BackupReport> {
  const server = pair.servers[name];
  const { needs } = cluster;
  const { socketDir, port } = server;
  const postgresql = { ...needs.config.postgresql, socketDir, port };
  const config = { ...needs.config, postgresql, services: {}, disabledServices: [] };
  const parts = {
    ...(await testSystem()),
    backups: [await baseFor(server)],
    carrier: createCarrier({ ...needs, config, environment: {} }),
    copies: { clearLeft: async () => undefined },
    config: testConfig(server, within('repo')),
    expireQuarantined: async () => [],
    history: { list: async () => [] },
  } as unknown as Parameters<typeof takeBackup>[0];
  return takeBackup(parts, { ifChanged: false, ifCarrier: true }, signal);
}

async function backupOf(report: BackupReport, server: TestServer): Promise<Backup> {
  const all = await (await baseFor(server)).repository.list(signal);
  return all.find(({ label }) => label === report.backup?.label)!;
}

async function scalar(server: TestServer, expression: string): Promise<string> {
  const connection = await server.connect();
  const [row] = await connection.query<{ value: string }>(`SELECT (${expression})::text AS value`);
  await connection.end();
  return row!.value;
}

async function until(server: TestServer, expression: string): Promise<void> {
  while ((await scalar(server, expression)) !== 'true') await sleep(20);
}

const caughtUp = async (from: TestServer, to: TestServer): Promise<void> =>
  until(to, `pg_last_wal_replay_lsn() >= '${await scalar(from, 'pg_current_wal_flush_lsn()')}'`);

function asStandby(dataDir: string): void {
  writeFileSync(join(dataDir, 'standby.signal'), '');
  if (isRoot) chownSync(join(dataDir, 'standby.signal'), owner.uid, owner.gid);
}

const following = ({ socketDir, port }: TestServer) => ({
  hot_standby: 'on',
  primary_conninfo: `host=${socketDir} port=${port} user=postgres`,
  wal_retrieve_retry_interval: '100ms',
});

/** A primary, and a copy of it that follows it. */
async function startPair(binDir: string, settings: Readonly<Record<string, string>>): Promise<void> {
  initdb(binDir, within('n1'));
  run('cp', ['-a', within('n1'), within('n2')]);
  asStandby(within('n2'));
  const n1 = await start(binDir, within('n1'), settings);
  pair = { leader: 'n1', servers: { n1, n2: await start(binDir, within('n2'), { ...settings, ...following(n1) }, true) } };
}

async function rowsIn(binDir: string, backup: Backup, server: TestServer): Promise<{ rows: string; ledger: Set<number> }> {
  expectAccepted(binDir, backup);
  const base = await baseFor(server);
  await base.verify(backup, signal, { deep: true });
  const directory = within(`restored_${backup.label}`);
  await base.stage(backup, { directory, walFrom: undefined }, signal);
  const restored = await start(binDir, directory, {});
  const counted = { rows: await scalar(restored, 'SELECT count(*) FROM rows'), ledger: await idsIn(restored) };
  await restored.stop();
  return counted;
}

describe.each(everywhere ? installations : installations.slice(0, 1))('PostgreSQL $major', ({ binDir }) => {
  nightly('the replica takes the backup under load, and after a switchover the new one does', async () => {
    await startPair(binDir, { max_wal_size: '2GB' });
    const { n1, n2 } = pair.servers;
    await execute(n1, 'CREATE TABLE rows AS SELECT g AS id FROM generate_series(1, 20000) g');
    const load = await startLoad(n1, 2);
    await execute(n1, 'CHECKPOINT');
    await caughtUp(n1, n2);
    const before = new Set(load.acknowledged);
    await caughtUp(n1, n2);
    expect(await timerOf('n1')).toMatchObject({ backup: null, carrier: { member: 'n2', reason: 'carrier-replica' } });
    const first = await timerOf('n2');
    expect(first).toMatchObject({ backup: { state: 'good' }, carrier: { member: 'n2', isHere: true } });
    await load.stop();
    await execute(n1, 'INSERT INTO rows SELECT g FROM generate_series(1, 500) g');
    const fromN2 = await backupOf(first, n2);

    await n1.stop();
    run(join(binDir, 'pg_ctl'), ['promote', '-w', '-D', within('n2')]);
    asStandby(within('n1'));
    const settings = { max_wal_size: '2GB', ...following(n2) };
    pair = { leader: 'n2', servers: { n1: await start(binDir, within('n1'), settings, true), n2 } };
    await execute(n2, 'CHECKPOINT');
    await caughtUp(n2, pair.servers.n1);
    await execute(pair.servers.n1, 'CHECKPOINT');
    await until(pair.servers.n1, "EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')");
    expect(await timerOf('n2')).toMatchObject({ backup: null, carrier: { member: 'n1' } });
    const fromN1 = await backupOf(await timerOf('n1'), pair.servers.n1);
    await Promise.all(Object.values(pair.servers).map((server) => server.stop()));

    const old = await rowsIn(binDir, fromN2, n2);
    expect(old.rows).toBe('20000');
    expect([...before].filter((id) => !old.ledger.has(id))).toEqual([]);
    const late = await rowsIn(binDir, fromN1, n2);
    expect(late.rows).toBe('20500');
    expect([...load.acknowledged].filter((id) => !late.ledger.has(id))).toEqual([]);
  });

  nightly('a replica that would begin before the last change of leader leaves it to the leader, and refuses by itself', async () => {
    await startPair(binDir, LONG_CHECKPOINTS);
    const { n1, n2 } = pair.servers;
    await (await startLoad(n1, 1)).stop();
    await execute(n1, 'CREATE TABLE rows AS SELECT g AS id FROM generate_series(1, 20000) g', 'CHECKPOINT');
    await caughtUp(n1, n2);
    await execute(n1, 'CREATE TABLE many AS SELECT g AS id, repeat(md5(g::text), 10) AS note FROM generate_series(1, 50000) g');
    await caughtUp(n1, n2);
    // All of that is replayed, and so dirty: the checkpoint after the promotion is spread over most of an hour.
    await n1.stop('SIGQUIT');
    asStandby(within('n1'));
    const again = await start(binDir, within('n1'), { ...LONG_CHECKPOINTS, hot_standby: 'on', port: String(n1.port) }, true);
    run(join(binDir, 'pg_ctl'), ['promote', '-w', '-D', within('n1')]);
    pair = { leader: 'n1', servers: { n1: again, n2 } };
    await execute(again, 'INSERT INTO rows SELECT g FROM generate_series(1, 500) g');
    await until(n2, "EXISTS (SELECT FROM pg_stat_wal_receiver WHERE received_tli = 2 AND status = 'streaming')");
    await caughtUp(again, n2);

    const base = await baseFor(n2);
    await expect(base.take(signal)).rejects.toMatchObject({
      code: 'service.unready',
      message: 'the standby has come to timeline 2, and its last restartpoint, where a backup begins, is on timeline 1',
    });
    expect(await base.repository.list(signal)).toEqual([]);
    expect(await timerOf('n2')).toMatchObject({ backup: null, carrier: { member: 'n1', reason: 'carrier-no-replica' } });
    const fromLeader = await backupOf(await timerOf('n1'), again); // It makes a checkpoint, which the replica follows.
    await caughtUp(again, n2);
    await execute(n2, 'CHECKPOINT');
    expect(await timerOf('n1')).toMatchObject({ backup: null, carrier: { member: 'n2', reason: 'carrier-replica' } });
    const fromReplica = await backupOf(await timerOf('n2'), n2);
    await Promise.all([again.stop(), n2.stop()]);
    for (const backup of [fromLeader, fromReplica]) expect((await rowsIn(binDir, backup, n2)).rows).toBe('20500');
  });
});

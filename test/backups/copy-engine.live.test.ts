import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { Backup, BaseBackups } from '../../src/backups/backup.ts';
import { createBaseBackups } from '../../src/backups/base/base-backups.ts';
import type { Step } from '../../src/kernel/steps.ts';
import { failing, withCalls } from '../harness/other-calls.ts';
import { everywhere, nightly } from '../harness/tier.ts';
import {
  bundleBackupProgram,
  executeNow,
  idsIn,
  initdb,
  installations,
  owner,
  run,
  runBackupProgram,
  signal,
  startLoad,
  type TestServer,
  testConfig,
  testSystem,
} from './copy-engine.fixture.ts';
import { execute, expectAccepted, openScene, settle } from './scene.fixture.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

const scene = openScene();
const { within, start, baseFor, servers } = scene;
const sleep = (durationMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, durationMs));
/** As `baseFor`; `happening` is done in the first backup, between the copy of its files and its end, however quick the machine is. */
async function baseInterruptedBy(server: TestServer, happening: () => void): Promise<BaseBackups> {
  let isDone = false;
  const reached = (step: Step): void => {
    if (step !== 'backup.files-copied' || isDone) return;
    isDone = true;
    happening();
  };
  const system = { ...(await testSystem(scene.events)), reached };
  return createBaseBackups({ config: testConfig(server, within('repo')), system, dataDir: server.dataDir, owner });
}
const quick = { fsync: 'off', max_wal_size: '2GB' };

async function expectAll(server: TestServer, acknowledged: ReadonlySet<number>): Promise<void> {
  const ids = await idsIn(server);
  expect([...acknowledged].filter((id) => !ids.has(id))).toEqual([]);
}

async function scalar(server: TestServer, expression: string): Promise<string> {
  const connection = await server.connect();
  const [row] = await connection.query<{ value: string }>(`SELECT (${expression})::text AS value`);
  await connection.end();
  return row!.value;
}

describe.each(everywhere ? installations : installations.slice(0, 1))('PostgreSQL $major', ({ major, binDir }) => {
  const newServer = async (): Promise<TestServer> => {
    initdb(binDir, within('data'));
    return start(binDir, within('data'), quick);
  };

  test('a hot backup under load is accepted, and its restore rolls forward to every acknowledged commit', async () => {
    const server = await newServer();
    const load = await startLoad(server);
    await sleep(500);
    const base = await baseFor(server);
    const backup = await base.take(signal);
    expect(backup.state, scene.events.join('\n')).toBe('good');
    expectAccepted(binDir, backup);
    await base.verify(backup, signal);
    expect(await base.repository.list(signal)).toMatchObject([{ label: backup.label, state: 'verified', pgVersion: major }]);
    await sleep(500);
    await execute(server, 'SELECT pg_switch_wal()');
    await sleep(200);
    await server.stop('SIGQUIT'); // A crash, in the middle of writing.
    await load.stop();
    expect(load.acknowledged.size).toBeGreaterThan(100);

    expect(await base.rollsForward(backup, within('data'), signal)).toBe(true);
    const { reached } = await base.stage(backup, { directory: within('restored'), walFrom: within('data', 'pg_wal') }, signal);
    expect(reached?.phrase).toContain('last commit 20');
    expect(reached?.phrase).toContain("the end of the replaced instance's WAL");
    const restored = await start(binDir, within('restored'), quick);
    await expectAll(restored, load.acknowledged);
    expect(await scalar(restored, 'left(pg_walfile_name(pg_current_wal_lsn()), 8)')).toBe('00000001');
  });

  test('without the WAL of the replaced instance a restore opens at the backup, on a new timeline', async () => {
    const server = await newServer();
    await execute(server, 'CREATE TABLE kept AS SELECT 1 AS id');
    const base = await baseFor(server);
    const backup = await base.take(signal);
    await execute(server, 'CREATE TABLE later AS SELECT 1 AS id');
    await server.stop();
    const { reached } = await base.stage(backup, { directory: within('restored'), walFrom: undefined }, signal);
    expect(reached?.phrase).toContain(`the end of backup ${backup.label}`);
    const restored = await start(binDir, within('restored'), quick);
    expect(await scalar(restored, "to_regclass('public.kept')")).toBe('kept');
    expect(await scalar(restored, "coalesce(to_regclass('public.later')::text, 'none')")).toBe('none');
    expect(await scalar(restored, 'left(pg_walfile_name(pg_current_wal_lsn()), 8)')).toBe('00000002');
  });

  test('a gap in the WAL is noticed: what is before it is replayed, and a new timeline begins', async () => {
    const server = await newServer();
    const load = await startLoad(server, 1);
    const base = await baseFor(server);
    const backup = await base.take(signal);
    for (let segment = 0; segment < 3; segment += 1) {
      await sleep(100);
      await execute(server, 'SELECT pg_switch_wal()');
    }
    await sleep(100);
    await load.stop();
    await server.stop('SIGQUIT'); // A clean stop would recycle them all.
    const segments = readdirSync(within('data', 'pg_wal'))
      .filter((name) => /^[0-9A-F]{24}$/.test(name))
      .sort();
    const stop = await base.repository
      .list(signal)
      .then(() => JSON.parse(readFileSync(within('repo', `${backup.label}.json`), 'utf8')).wal.at(-1).name as string);
    rmSync(within('data', 'pg_wal', segments[segments.indexOf(stop) + 2]!));
    expect(await base.rollsForward(backup, within('data'), signal)).toBe(false);
    const { reached } = await base.stage(backup, { directory: within('restored'), walFrom: within('data', 'pg_wal') }, signal);
    expect(reached?.phrase).toContain('is missing or damaged');
    const restored = await start(binDir, within('restored'), quick);
    expect(await scalar(restored, 'left(pg_walfile_name(pg_current_wal_lsn()), 8)')).toBe('00000002');
  });

  test('a cold backup is accepted, starts as it is, and rolls forward over the segment it ends in', async () => {
    const server = await newServer();
    await execute(server, 'CREATE TABLE ledger (id int PRIMARY KEY, note text)', "INSERT INTO ledger VALUES (1, 'cold')");
    await server.stop();
    const base = await baseFor(server);
    const backup = await base.take(signal);
    expect(scene.events.join('\n')).toContain('stopped server');
    expectAccepted(binDir, backup);
    expect(await base.changedSinceLast(signal)).toMatchObject({ changed: false });

    const again = await start(binDir, within('data'), quick);
    const load = await startLoad(again, 1);
    await sleep(300);
    await again.stop('SIGQUIT');
    await load.stop();
    await base.stage(backup, { directory: within('restored'), walFrom: within('data', 'pg_wal') }, signal);
    const restored = await start(binDir, within('restored'), quick);
    await expectAll(restored, new Set([1, ...load.acknowledged]));
    await base.stage(backup, { directory: within('plain'), walFrom: undefined }, signal);
    await expectAll(await start(binDir, within('plain'), quick), new Set([1]));
  });

  /** A primary, and a standby that follows it; copied while the primary was down. */
  const newPair = async (): Promise<{ primary: TestServer; standby: TestServer }> => {
    const first = await newServer();
    await first.stop();
    run('cp', ['-a', within('data'), within('standby')]);
    const primary = await start(binDir, within('data'), { ...quick, wal_keep_size: '1GB' }); // Until the standby has come for it.
    writeFileSync(within('standby', 'standby.signal'), '');
    chownSync(within('standby', 'standby.signal'), owner.uid, owner.gid);
    const follow = { primary_conninfo: `host=${primary.socketDir} port=${primary.port} user=postgres`, hot_standby: 'on' };
    return { primary, standby: await start(binDir, within('standby'), { ...quick, ...follow }, true) };
  };
  const caughtUp = async (primary: TestServer, standby: TestServer): Promise<void> => {
    const now = await scalar(primary, 'pg_current_wal_flush_lsn()');
    while ((await scalar(standby, `pg_last_wal_replay_lsn() >= '${now}'`)) !== 'true') await sleep(20);
  };

  nightly('a backup of a standby is accepted, and restores to where it was taken', async () => {
    const { primary, standby } = await newPair();
    await execute(primary, 'CREATE TABLE rows AS SELECT g AS id FROM generate_series(1, 20000) g', 'CHECKPOINT');
    await caughtUp(primary, standby);
    const load = await startLoad(primary, 1);
    const base = await baseFor(standby);
    const backup = await base.take(signal);
    await load.stop();
    expectAccepted(binDir, backup);
    await base.verify(backup, signal, { deep: true });
    await execute(primary, 'INSERT INTO rows SELECT g FROM generate_series(1, 500) g');
    await caughtUp(primary, standby);
    await standby.stop('SIGQUIT');

    await base.stage(backup, { directory: within('restored'), walFrom: undefined }, signal);
    const alone = await start(binDir, within('restored'), quick);
    expect(await scalar(alone, 'SELECT count(*) FROM rows')).toBe('20000');
    await alone.stop();
    await base.stage(backup, { directory: within('rolled'), walFrom: within('standby', 'pg_wal') }, signal);
    const rolled = await start(binDir, within('rolled'), quick);
    await expectAll(rolled, load.acknowledged);
    expect(await scalar(rolled, 'SELECT count(*) FROM rows'), 'what the standby had received').toBe('20500');
    expect(await scalar(rolled, 'SELECT timeline_id FROM pg_control_checkpoint()'), 'the primary goes on with the old one').toBe('2');
  });

  nightly('a standby that is promoted in the middle of its backup publishes nothing', async () => {
    const { primary, standby } = await newPair();
    await execute(
      primary,
      'CREATE TABLE rows AS SELECT g AS id, repeat(md5(g::text), 10) AS note FROM generate_series(1, 50000) g',
      'CHECKPOINT',
    );
    await caughtUp(primary, standby);
    const promote = (step: string): void => {
      if (step === 'backup.files-copied') run(join(binDir, 'pg_ctl'), ['promote', '-w', '-D', within('standby')]);
    };
    const system = { ...(await testSystem()), reached: promote };
    const base = createBaseBackups({ config: testConfig(standby, within('repo')), system, dataDir: standby.dataDir, owner });
    await expect(base.take(signal)).rejects.toThrow(/promoted/);
    expect(await base.repository.list(signal)).toEqual([]);
  });

  nightly('a clock that is set back never makes the newest backup the oldest', async () => {
    const server = await newServer();
    const system = await testSystem();
    const at = (offsetMs: number) => ({ ...system, clock: { ...system.clock, now: () => new Date(Date.now() + offsetMs) } });
    const config = { ...testConfig(server, within('repo')), maxBackups: 1 };
    const takenAt = async (offsetMs: number): Promise<string> => {
      const base = createBaseBackups({ config, system: at(offsetMs), dataDir: server.dataDir, owner });
      return (await base.take(signal)).label;
    };
    const labels = [await takenAt(3_600_000), await takenAt(0), await takenAt(-3_600_000)];
    expect([...labels].sort()).toEqual(labels);
    const base = createBaseBackups({ config, system: at(0), dataDir: server.dataDir, owner });
    await base.repository.expire({ dryRun: false }, signal);
    expect(
      (await base.repository.list(signal)).map(({ label }) => label),
      'the one that was taken last',
    ).toEqual([labels[2]]);
  });

  // backup-command.live.test.ts sees each day that a second one shares, and pages.live.test.ts that each stays what it was.
  nightly('a second backup shares what has not changed, and outlives the first', async () => {
    const server = await newServer();
    await execute(
      server,
      'CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 10) AS note FROM generate_series(1, 20000) g',
      'CREATE TABLE mid AS SELECT g AS id FROM generate_series(1, 20000) g',
      'CHECKPOINT',
    );
    await settle();
    const base = await baseFor(server, { maxBackups: 1 });
    const first = await base.take(signal);
    await execute(server, "CREATE TABLE small AS SELECT 'before' AS note", 'CHECKPOINT');
    await settle();
    await execute(server, "UPDATE small SET note = 'after'", 'DELETE FROM mid WHERE id = 7');
    const path = await scalar(server, "pg_relation_filepath('big')");
    const shared = statSync(join(first.path, path)).ino;
    const second = await base.take(signal);
    expect(statSync(join(second.path, path)).ino).toBe(shared);
    expect(statSync(join(server.dataDir, path)).ino).not.toBe(shared);
    const record = JSON.parse(readFileSync(`${second.path}.json`, 'utf8'));
    expect(record.previous).toBe(first.label);
    expect(record.newBytes).toBeLessThan(record.sizeBytes - 7_000_000 - 15 * 1024 * 1024); // And the rest of its WAL segment takes no room.
    const segment = statSync(join(second.path, 'pg_wal', record.wal[0].name));
    expect([segment.size, segment.blocks * 512 < 4 * 1024 * 1024]).toEqual([16 * 1024 * 1024, true]);
    expect((await base.repository.list(signal)).map(({ label }) => label)).toEqual([second.label]);
    expect(existsSync(first.path)).toBe(false);
    expectAccepted(binDir, second);
    await base.verify(second, signal);
    // Only the second's own WAL is replayed, so what changed before it must be in its files.
    await base.stage(second, { directory: within('restored'), walFrom: undefined }, signal);
    const restored = await start(binDir, within('restored'), quick);
    expect(await scalar(restored, 'SELECT note FROM small')).toBe('after');
    expect(await scalar(restored, 'SELECT count(*) FROM mid')).toBe('19999');
    expect(await scalar(restored, 'SELECT count(*) FROM big')).toBe('20000');
  });

  nightly('tablespaces, unlogged and temporary relations, odd names and a pg_wal elsewhere', async () => {
    mkdirSync(within('wal'));
    mkdirSync(within('space'));
    for (const name of ['wal', 'space']) chownSync(within(name), owner.uid, owner.gid);
    initdb(binDir, within('data'), '-X', within('wal'));
    const server = await start(binDir, within('data'), quick);
    const odd = Buffer.concat([Buffer.from(`${server.dataDir}/odd-`), Buffer.from([0xff, 0xfe])]);
    writeFileSync(odd, 'odd');
    symlinkSync('/nowhere', within('data', 'dangling'));
    const keeper = await server.connect();
    await execute(server, `CREATE TABLESPACE space LOCATION '${within('space')}'`);
    await execute(server, 'CREATE TABLE spaced TABLESPACE space AS SELECT g AS id FROM generate_series(1, 5000) g');
    await execute(server, 'CREATE UNLOGGED TABLE fleeting AS SELECT g AS id FROM generate_series(1, 5000) g');
    await keeper.query('CREATE TEMPORARY TABLE passing AS SELECT g AS id FROM generate_series(1, 5000) g');
    await execute(server, 'CHECKPOINT');
    const [unlogged, temporary] = [
      await scalar(server, "pg_relation_filepath('fleeting')"),
      (await keeper.query<{ path: string }>("SELECT pg_relation_filepath('passing') AS path"))[0]!.path,
    ];
    const base = await baseFor(server);
    const backup = await base.take(signal);
    await keeper.end();
    expectAccepted(binDir, backup);
    await base.verify(backup, signal);
    expect(existsSync(join(server.dataDir, unlogged))).toBe(true);
    expect(existsSync(join(backup.path, unlogged))).toBe(false);
    expect(existsSync(join(backup.path, `${unlogged}_init`))).toBe(true);
    expect(existsSync(join(backup.path, temporary))).toBe(false);
    expect(lstatSync(join(backup.path, 'pg_wal')).isDirectory()).toBe(true);
    await execute(server, 'INSERT INTO spaced SELECT 5001');
    await server.stop('SIGQUIT');
    await base.stage(backup, { directory: within('restored'), walFrom: within('wal') }, signal);
    expect(readFileSync(Buffer.concat([Buffer.from(within('restored', 'odd-')), Buffer.from([0xff, 0xfe])]), 'utf8')).toBe('odd');
    const restored = await start(binDir, within('restored'), quick);
    expect(await scalar(restored, 'SELECT count(*) FROM spaced')).toBe('5001');
    expect(await scalar(restored, 'SELECT count(*) FROM fleeting')).toBe('0');
    await execute(restored, 'INSERT INTO spaced SELECT 5002', 'CHECKPOINT');
  });

  nightly('a tablespace that is made while a backup runs is in it once, and restores', async () => {
    const server = await newServer();
    mkdirSync(within('late'));
    chownSync(within('late'), owner.uid, owner.gid);
    await execute(server, 'CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 10) AS note FROM generate_series(1, 50000) g');
    const base = await baseInterruptedBy(server, () =>
      executeNow(server, `CREATE TABLESPACE late LOCATION '${within('late')}'`, 'CREATE TABLE spaced TABLESPACE late AS SELECT 1 AS id'),
    );
    const backup = await base.take(signal);
    expect(scene.events.join('\n')).toContain('backup.again');
    expectAccepted(binDir, backup);
    await execute(server, 'INSERT INTO spaced SELECT 2');
    await server.stop('SIGQUIT');
    await base.stage(backup, { directory: within('restored'), walFrom: within('data', 'pg_wal') }, signal);
    const restored = await start(binDir, within('restored'), quick);
    expect(await scalar(restored, 'SELECT count(*) FROM spaced')).toBe('2');
  });

  test('a damaged page is found: the backup is kept, marked, and nothing expires or is shared on its account', async () => {
    const server = await newServer();
    await execute(server, 'CREATE TABLE big AS SELECT g AS id FROM generate_series(1, 20000) g', 'CHECKPOINT');
    const base = await baseFor(server, { maxBackups: 1 });
    const good = await base.take(signal);
    const path = await scalar(server, "pg_relation_filepath('big')");
    await settle();
    await server.stop();
    const bytes = readFileSync(join(server.dataDir, path));
    bytes[3 * 8192 + 4000]! ^= 0xff;
    writeFileSync(join(server.dataDir, path), bytes);
    await start(binDir, server.dataDir, quick).then((again) => execute(again, 'SELECT 1'));
    const damaged = await (await baseFor(servers.at(-1)!, { maxBackups: 1 })).take(signal);
    expect(damaged.state).toBe('damaged');
    expect(JSON.parse(readFileSync(`${damaged.path}.json`, 'utf8')).damage).toEqual([{ path, blocks: [3] }]);
    expect((await base.repository.list(signal)).map(({ label, state }) => ({ label, state }))).toEqual([
      { label: good.label, state: 'good' },
      { label: damaged.label, state: 'damaged' },
    ]);
    expect(await base.changedSinceLast(signal)).toMatchObject({ changed: true });
  });

  nightly('an idle server is not backed up again after a restart, a written one is', async () => {
    const server = await newServer();
    const base = await baseFor(server);
    expect(await base.changedSinceLast(signal)).toEqual({ changed: true, because: 'there is no backup yet' });
    await execute(server, 'CREATE TABLE kept AS SELECT 1 AS id');
    await base.take(signal);
    await server.stop();
    expect(await base.changedSinceLast(signal)).toMatchObject({ changed: false });
    const again = await start(binDir, within('data'), quick);
    expect(await base.changedSinceLast(signal)).toMatchObject({ changed: false });
    await execute(again, 'INSERT INTO kept SELECT 2');
    await again.stop();
    expect(await base.changedSinceLast(signal)).toMatchObject({ changed: true });
  });
});

describe('with the first installation', () => {
  const { binDir } = installations[0]!;
  const newServer = async (): Promise<TestServer> => {
    initdb(binDir, within('data'));
    return start(binDir, within('data'), { ...quick, wal_keep_size: '1GB' });
  };

  nightly('tables and databases that come and go do not disturb a backup', async () => {
    const server = await newServer();
    let running = true;
    const churn = (async () => {
      for (let round = 0; running; round += 1) {
        await execute(
          server,
          `CREATE TABLE churn${round} AS SELECT g AS id, md5(g::text) FROM generate_series(1, 500) g`,
          `VACUUM FULL churn${round}`,
          `CREATE DATABASE base${round}`,
          ...(round > 1 ? [`TRUNCATE churn${round - 1}`, `DROP TABLE churn${round - 2}`, `DROP DATABASE base${round - 2}`] : []),
        );
      }
    })();
    const load = await startLoad(server, 1);
    const base = await baseFor(server);
    const backups: Backup[] = [];
    for (let round = 0; round < 3; round += 1) backups.push(await base.take(signal));
    running = false;
    await churn;
    await load.stop();
    const rows = await scalar(server, 'SELECT count(*) FROM ledger');
    await server.stop('SIGQUIT');
    for (const backup of backups) {
      expectAccepted(binDir, backup);
      await base.stage(backup, { directory: within(backup.label), walFrom: within('data', 'pg_wal') }, signal);
      const restored = await start(binDir, within(backup.label), quick);
      expect(await scalar(restored, 'SELECT count(*) FROM ledger')).toBe(rows);
      run(join(binDir, 'pg_dumpall'), ['-h', restored.socketDir, '-p', String(restored.port), '-U', 'postgres', '-f', within('dump')]);
      await restored.stop();
    }
  });

  nightly('kill -9 at any step leaves a truthful list, and the next backup works', async () => {
    const server = await newServer();
    const program = await bundleBackupProgram(within());
    const base = await baseFor(server, { maxBackups: 2 });
    await base.take(signal);
    await sleep(1_000); // Labels tell seconds.
    await base.take(signal);
    const steps = [
      ...['files-copied', 'stopped', 'synced', 'record-staged', 'directory-published', 'published'].map((step) => `backup.${step}`),
      ...['expire.unlisted', 'expire.set-aside'],
    ];
    for (const step of steps) {
      const killed = runBackupProgram(program, server, within('repo'), step);
      expect(killed.end, `${step}\n${killed.words}`).toBe('SIGKILL');
      const listed = await base.repository.list(signal);
      expect(listed.length).toBeGreaterThanOrEqual(2);
      for (const backup of listed) await base.verify(backup, signal);
      const next = await base.take(signal);
      expectAccepted(binDir, next);
      expect(
        (await base.repository.list(signal)).map(({ label }) => label),
        step,
      ).toContain(next.label);
      expect(await base.repository.list(signal)).toHaveLength(2);
      expect(readdirSync(within('repo', '.partial'))).toEqual([]);
      expect(readdirSync(within('repo')).filter((name) => !name.startsWith('.'))).toHaveLength(4);
    }
    const newest = (await base.repository.list(signal)).at(-1)!;
    await base.stage(newest, { directory: within('restored'), walFrom: undefined }, signal);
    await start(binDir, within('restored'), quick);
  });

  test('verify names what was tampered with', async () => {
    const server = await newServer();
    const base = await baseFor(server);
    const backup = await base.take(signal);
    const spoil = async (change: () => void, restore: () => void, words: RegExp): Promise<void> => {
      change();
      await expect(base.verify(backup, signal)).rejects.toMatchObject({ code: 'data.corrupt', message: expect.stringMatching(words) });
      await expect(base.repository.list(signal)).resolves.toMatchObject([{ state: 'damaged' }]);
      restore();
    };
    const target = join(backup.path, 'base/1/1259');
    const whole = readFileSync(target);
    const changed = Buffer.from(whole);
    changed[100]! ^= 1;
    const restoreTarget = (): void => writeFileSync(target, whole);
    await spoil(() => writeFileSync(target, changed), restoreTarget, /base\/1\/1259 differs/);
    await spoil(() => writeFileSync(target, whole.subarray(0, 8192)), restoreTarget, /base\/1\/1259 has 8192 bytes/);
    await spoil(() => rmSync(target), restoreTarget, /base\/1\/1259 is missing/);
    await spoil(
      () => writeFileSync(join(backup.path, 'extra'), ''),
      () => rmSync(join(backup.path, 'extra')),
      /extra is extra/,
    );
    const manifest = join(backup.path, 'backup_manifest');
    const text = readFileSync(manifest, 'utf8');
    await spoil(
      () => writeFileSync(manifest, text.replace('"Size": 3', '"Size": 4')),
      () => writeFileSync(manifest, text),
      /not the one that was written/,
    );
    const segment = join(backup.path, 'pg_wal', readdirSync(join(backup.path, 'pg_wal')).find((name) => name.length === 24)!);
    const wal = readFileSync(segment);
    await spoil(
      () => writeFileSync(segment, Buffer.alloc(wal.length)),
      () => writeFileSync(segment, wal),
      /pg_wal\/.* differs/,
    );

    writeFileSync(target, changed);
    await expect(base.stage(backup, { directory: within('restored'), walFrom: undefined }, signal)).rejects.toMatchObject({
      code: 'data.corrupt',
      message: expect.stringContaining('base/1/1259'),
    });
    expect(existsSync(within('restored', 'global/pg_control'))).toBe(false);
    mkdirSync(within('taken'));
    writeFileSync(within('taken', 'mine'), '');
    await expect(base.stage(backup, { directory: within('taken'), walFrom: undefined }, signal)).rejects.toMatchObject({
      code: 'file.exists',
    });
  });

  test('who waits for a backup under way shares the next one: a crowd does not push earlier backups out', async () => {
    const server = await newServer();
    const crowd: Promise<Backup>[] = [];
    const base = await baseInterruptedBy(server, () => {
      const wait = { waitMs: 120_000 };
      for (let one = 0; one < 4; one += 1) crowd.push(base.take(signal, wait));
      crowd.push(base.take(signal, { ...wait, note: 'mine' }));
    });
    const first = await base.take(signal);
    const others = await Promise.all(crowd);
    expect(others.map(({ label }) => label)).not.toContain(first.label); // It had begun before they asked.
    const kept = await base.repository.list(signal);
    expect(kept.length, 'not six: that one, the next, one for all others, and the one with a note').toBeLessThanOrEqual(4);
    expect(kept.filter(({ note }) => note === 'mine')).toHaveLength(1);
  });

  test('what cannot be backed up is refused with the reason, and leaves nothing', async () => {
    const server = await newServer();
    const base = await baseFor(server);
    const aborted = new AbortController();
    const cancelled = base.take(aborted.signal);
    setTimeout(() => aborted.abort(), 150);
    await expect(cancelled).rejects.toMatchObject({ name: 'AbortError' });
    const unseen = { lstat: failing('EIO', (path) => path.endsWith('postmaster.pid')) };
    await expect(withCalls(unseen, () => base.take(signal))).rejects.toMatchObject({ code: 'volume.failing' }); // Not for a stopped server.
    await server.stop('SIGQUIT');
    writeFileSync(within('data', 'postmaster.pid'), '1');
    await expect(base.take(signal)).rejects.toMatchObject({
      code: 'service.unready',
      message: expect.stringContaining('does not answer'),
    });
    rmSync(within('data', 'postmaster.pid'));
    await expect(base.take(signal)).rejects.toMatchObject({
      code: 'service.unready',
      message: expect.stringContaining('not shut down cleanly'),
    });
    const minimal = await start(binDir, within('data'), { ...quick, wal_level: 'minimal', max_wal_senders: '0' });
    await expect((await baseFor(minimal)).take(signal)).rejects.toMatchObject({ code: 'server.settings' });
    expect(await base.repository.list(signal)).toEqual([]);
    expect(readdirSync(within('repo')).filter((name) => !name.startsWith('.'))).toEqual([]);
    expect(readdirSync(within('repo', '.partial'))).toEqual([]);
  });
});

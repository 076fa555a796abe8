import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot, type Running, run } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';
import { nightly } from '../harness/tier.ts';
import { archiveOf, keepingOf, keptUpTo, untilKept, withArchive } from './kept.ts';

const { signal } = new AbortController();
const [programs] = installed;
const SLOTS = `SELECT slot_name, wal_status FROM pg_replication_slots`;
const small = { postgresql: { initdbArgs: '--wal-segsize=1' } };

test('a new instance has its WAL kept from the first row on, across kills and clean stops, until it is switched off', async () => {
  const instance = await openInstance({ programs: programs!, from: 'empty' });
  await configure(instance, small);
  const running = await boot(instance, withArchive);
  await ask(instance, 'app', 'CREATE TABLE rows (id int)', 'INSERT INTO rows SELECT generate_series(1, 20000)');
  await untilKept(instance);
  expect(await ask(instance, 'postgres', SLOTS)).toEqual([{ slot_name: 'dbkit_archive', wal_status: 'reserved' }]);
  expect(await ask(instance, 'postgres', 'SHOW max_slot_wal_keep_size')).not.toEqual([{ max_slot_wal_keep_size: '-1' }]);
  expect(await keepingOf(instance)).toMatchObject({ state: 'keeping', timeline: 1, guarded: true, problem: null, gaps: [] });
  const archive = await archiveOf(instance);
  const [timeline] = await archive.timelines(signal);
  expect(timeline!.segments.at(-1)).toMatchObject({ kind: 'tail' });
  expect(timeline!.segments.slice(0, -1).every(({ kind }) => kind === 'whole')).toBe(true);

  await crash(instance, running);
  const again = await boot(instance, withArchive);
  await ask(instance, 'app', 'INSERT INTO rows SELECT generate_series(1, 40000)');
  await untilKept(instance);
  const ended = await again.stop();
  expect(ended.stderr).not.toMatch(/archive/);
  const stopped = await keptUpTo(archive);
  await expectContinuous(archive);

  const third = await boot(instance, withArchive);
  await ask(instance, 'app', 'INSERT INTO rows SELECT generate_series(1, 10)');
  expect(await untilKept(instance)).toBeGreaterThan(stopped);
  await expectContinuous(archive);
  const status = await run(instance, ['wal', 'status', '--json'], withArchive);
  expect(JSON.parse(status.stdout)).toMatchObject({
    schema: 'dbkit.wal-status/v1',
    report: {
      state: 'keeping',
      guarded: true,
      lag: { bytes: 0, seconds: 0 },
      timelines: [{ timeline: 1, holes: [], disputed: [] }],
      gaps: [],
    },
  });
  const verified = await run(instance, ['wal', 'verify'], withArchive);
  expect(verified, verified.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('sound') });
  const health = await run(instance, ['health', '--probe', 'wal-archive', 'slots'], withArchive);
  expect(health, health.stdout).toMatchObject({ code: 0, stdout: expect.stringMatching(/nothing is missing[\s\S]*no replication slots/) });
  await flip(timeline!.segments[0]!.path);
  const damaged = await run(instance, ['wal', 'verify'], withArchive);
  expect(damaged, damaged.stderr).toMatchObject({ code: 65, stdout: expect.stringContaining(timeline!.segments[0]!.name) });
  await third.stop();
  const off = await boot(instance);
  await until(
    async () => (await ask(instance, 'postgres', SLOTS)).length === 0,
    () => 'the slot stays although nobody keeps WAL any more',
  );
  await off.stop();
});

test('an archive that cannot be written is told once, never blocks the server, and goes on from where it was', async () => {
  const instance = await openInstance({ programs: programs!, from: 'empty' });
  await configure(instance, small);
  const running = await boot(instance, withArchive);
  await untilKept(instance);
  const archive = await archiveOf(instance);
  const folder = join(archive.dir, '00000001');
  await rm(folder, { recursive: true });
  await writeFile(folder, 'somebody put a file here');
  await ask(instance, 'app', 'CREATE TABLE rows AS SELECT generate_series(1, 30000) AS id');
  await until(
    async () => (await keepingOf(instance))?.state === 'failing',
    () => `nothing is told:\n${running.words()}`,
  );
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM rows')).toBe(30_000);
  await rm(folder);
  await untilKept(instance);
  await until(
    async () => (await keepingOf(instance))?.state === 'keeping',
    () => 'it goes on failing',
  );
  expect(running.words().match(/wal\.failing|is not kept in the archive/g)).toHaveLength(1);
  await expectContinuous(archive);
  await running.stop();
});

nightly('WAL that went before it was kept is a gap: it is told, the slot is let go, and a base backup is taken', async () => {
  const instance = await openInstance({ programs: programs!, from: 'empty' });
  const settings = { max_wal_size: '2MB', min_wal_size: '2MB' };
  await configure(instance, {
    postgresql: { ...small.postgresql, settings },
    recovery: { walKeep: '0MB' },
    wal: { maxLag: '4MB' },
    backup: { afterStart: true },
  });
  const env = { ...withArchive.env, DBKIT_BACKUP_AFTER_START: undefined };
  const running = await boot(instance, { env });
  await untilKept(instance);
  await untilBackups(instance, running, 1);
  const archive = await archiveOf(instance);
  await chmod(archive.dir, 0o500);
  const folder = join(archive.dir, '00000001');
  const before = await readdir(folder);
  await chmod(folder, 0o500);
  for (let round = 0; round < 6; round += 1)
    await ask(
      instance,
      'app',
      'CREATE TABLE IF NOT EXISTS rows (id int)',
      'INSERT INTO rows SELECT generate_series(1, 20000)',
      'CHECKPOINT',
    );
  await until(
    async () => (await keepingOf(instance))?.state === 'failing',
    () => `nothing is told:\n${running.words()}`,
  );
  const next = before.sort().at(-1)!.slice(0, 24);
  await until(
    async () => {
      await ask(instance, 'app', 'INSERT INTO rows SELECT generate_series(1, 20000)', 'CHECKPOINT');
      return !existsSync(join(instance.dataDir, 'pg_wal', next));
    },
    () => `the slot still holds ${next}`,
  );
  await chmod(archive.dir, 0o700);
  await chmod(folder, 0o700);
  await untilKept(instance);
  expect((await readdir(folder)).length).toBeGreaterThan(before.length);
  await until(
    async () => (await keepingOf(instance))?.gaps.length === 1,
    () => `the gap is not told:\n${running.words()}`,
    20_000,
  );
  await untilBackups(instance, running, 2);
  await running.stop();
});

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
  await writeFile(path, bytes);
}

const untilBackups = ({ backupDir }: Instance, running: Running, count: number): Promise<void> =>
  until(
    async () => (await readdir(backupDir)).filter((name) => /^data_.*\.json$/.test(name)).length >= count,
    () => `there are no ${count} base backups:\n${running.words()}`,
    20_000,
  );

async function expectContinuous(archive: Awaited<ReturnType<typeof archiveOf>>): Promise<void> {
  for (const { segments } of await archive.timelines(signal)) {
    for (const [index, segment] of segments.entries()) {
      await archive.read(segment, signal);
      if (index > 0) expect(segment.startLsn).toBe(segments[index - 1]!.endLsn);
    }
  }
}

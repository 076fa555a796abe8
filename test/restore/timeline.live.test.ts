import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ReachableMoments } from '../../src/backups/base/points/reachable.ts';
import { ask } from '../harness/ask.ts';
import { boot, type Ended, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const ok = async (instance: Instance, ...words: string[]): Promise<Ended> => {
  const ended = await run(instance, words);
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
  return ended;
};
const timelineOf = async (instance: Instance, ...flags: string[]): Promise<ReachableMoments> =>
  (JSON.parse((await ok(instance, 'timeline', '--json', ...flags)).stdout) as { report: ReachableMoments }).report;

/** The folder of timeline 1 in the archive, with the segment that was just ended. */
async function endSegment(instance: Instance): Promise<string> {
  const [row] = await ask<{ name: string; system: string }>(
    instance,
    'app',
    'SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name, system_identifier::text AS system FROM pg_control_system()',
  );
  await ask(instance, 'app', 'SELECT pg_switch_wal()');
  const folder = join(instance.backupDir, 'wal', row!.system, row!.name.slice(0, 8));
  const found = async (): Promise<string | undefined> =>
    (await readdir(folder).catch(() => [])).find((file) => file.startsWith(`${row!.name}-`) && file.endsWith('.zst'));
  await until(
    async () => (await found()) !== undefined,
    () => `${row!.name} is not in ${folder}`,
  );
  return join(folder, (await found())!);
}

test('the timeline says which moments come back, what happened in them and where WAL is missing; each timeline after a restore stands by itself', async () => {
  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  const running = await boot(instance, { env: { DBKIT_WAL: 'tail' } });
  await ok(instance, 'backup', 'create');
  await addRows(instance, known.ledger + 1, 4);
  const keeping = async (): Promise<boolean> =>
    (await readFile(join(instance.stateDir, 'wal.json'), 'utf8').catch(() => '')).includes('"state": "keeping"');
  await until(keeping, () => 'the WAL is not kept');
  const named = await ok(instance, 'restore-point', 'before-release', '--json');
  await ask(instance, 'app', 'DROP TABLE ledger CASCADE', 'CREATE TABLE later (a int)');

  const before = await timelineOf(instance);
  expect(before).toMatchObject({
    currentTimeline: 1,
    timelines: [{ timeline: 1, current: true, forkedFrom: null, gaps: [], problem: null }],
  });
  const [first] = before.timelines;
  expect(first!.spans).toMatchObject([{ label: first!.backups[0]!.label, ends: 'end', problem: null }]);
  expect(first!.events.filter(({ kind }) => kind !== 'restart')).toMatchObject([
    { kind: 'restore-point', names: ['before-release'] },
    { kind: 'drop', database: 'app', names: ['public.ledger'] },
  ]);
  expect(first!.spans[0]!.commits).toBe(first!.commitsPerMinute.reduce((sum, { commits }) => sum + commits, 0));
  expect(first!.spans[0]!.commits).toBeGreaterThanOrEqual(2);

  expect((JSON.parse(named.stdout) as { report: object }).report).toMatchObject({
    timeline: 1,
    backup: first!.backups[0]!.label,
    kept: true,
  });
  await ok(instance, 'backup', 'restore', '--to-name', 'before-release', '--dry-run');
  const found = await ok(instance, 'backup', 'find', '--before', 'drop table ledger', '--json');
  expect(JSON.parse(found.stdout)).toMatchObject({
    report: { refused: null, plan: { label: first!.backups[0]!.label }, backups: [{ serves: true, reason: 'serves-the-moment' }] },
  });
  const early = await run(instance, ['backup', 'find', '--before', '2001-01-01 00:00:00+00', '--json']);
  expect(early.code).toBe(77);
  expect(JSON.parse(early.stdout)).toMatchObject({ report: { plan: null, backups: [{ serves: false, reason: 'backup-ended-later' }] } });
  // Both ends of a span can be restored to, and so can the moment before the drop.
  for (const at of new Set([first!.spans[0]!.from, first!.spans[0]!.to, before.latest!].map((place) => place.at!)))
    await ok(instance, 'backup', 'restore', '--to', at, '--dry-run');
  await ok(instance, 'backup', 'restore', '--before', 'drop table ledger', '--yes');
  await expectAllRows(instance, 4);
  expect(await ask(instance, 'app', "SELECT to_regclass('later') AS later"), 'and nothing of after the drop').toEqual([{ later: null }]);
  await ok(instance, 'backup', 'create');
  await addRows(instance, known.ledger + 5, 2);
  const after = await timelineOf(instance);
  expect(after).toMatchObject({
    currentTimeline: 2,
    timelines: [
      { timeline: 1, current: false },
      { timeline: 2, current: true },
    ],
  });
  expect(after.timelines[1]).toMatchObject({ forkedFrom: { timeline: 1 }, spans: [{ ends: 'end' }], gaps: [] });
  expect(after.timelines[1]!.events.some(({ kind }) => kind === 'drop')).toBe(false);
  expect(after.timelines[1]!.events[0]).toMatchObject({ kind: 'timeline' });
  expect(
    after.timelines[0]!.events.some(({ kind }) => kind === 'drop'),
    'what was left can still be seen',
  ).toBe(true);
  const words = (await ok(instance, 'timeline')).stdout;
  expect(words).toContain('DROP of public.ledger in app');
  expect(words).toMatch(/timeline 2 \(the data is on it\), from timeline 1 at LSN/);

  await running.stop();
});

nightly('where a segment of the archive is gone, the timeline says between which moments nothing comes back', async () => {
  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  const running = await boot(instance, { env: { DBKIT_WAL: 'tail' } });
  await ok(instance, 'backup', 'create');
  await addRows(instance, known.ledger + 1, 2);
  const missing = await endSegment(instance);
  await addRows(instance, known.ledger + 3, 1);
  await endSegment(instance);
  await ok(instance, 'backup', 'create');
  await running.stop();
  await rename(join(instance.dataDir, 'pg_wal'), join(instance.root, 'pg_wal'));
  await rm(missing);
  const [hole] = (await timelineOf(instance, '--timeline', '1')).timelines;
  expect(hole).toMatchObject({ spans: [{ ends: 'gap' }, { label: hole!.backups[1]!.label, ends: 'end' }], gaps: [{}] });
  const gap = hole!.gaps[0]!;
  expect(gap.from).toEqual(hole!.spans[0]!.to);
  expect(gap.to).toEqual(hole!.spans[1]!.from);
});

import { appendFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import { serverUser } from '../harness/as-user.ts';
import { boot, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { addRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;
const create = async (instance: Instance, ...flags: string[]): Promise<ListedBackup> => {
  const { stdout, stderr } = await run(instance, ['backup', 'create', '--json', ...flags]);
  const { report } = JSON.parse(stdout) as { report?: { backup: ListedBackup } };
  if (!report) throw new Error(stdout + stderr);
  return report.backup;
};
const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Of the segment that its WAL is in, most is a hole; beyond that, what is not new is shared. */
const sharesFiles = ({ newBytes, sizeBytes }: ListedBackup): boolean => newBytes < sizeBytes - SEGMENT_BYTES;
const list = async (instance: Instance): Promise<readonly ListedBackup[]> =>
  (JSON.parse((await run(instance, ['backup', 'list', '--json'])).stdout) as { report: { backups: ListedBackup[] } }).report.backups;

test('backups are taken, found again, verified, and told apart from damaged ones', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  await sleep(2_500); // What changed within two seconds of a copy is never shared with it (sharing.ts).
  const first = await create(instance, '--note', 'before the upgrade', '--pin');
  await addRows(instance, known.ledger + 1, 10);
  const second = await create(instance);
  const third = await create(instance, '--full');
  expect([first, second, third].map(sharesFiles)).toEqual([false, true, false]);
  expect((await list(instance)).map(({ label, note, pinned, state }) => [label, note, pinned, state])).toEqual([
    [third.label, null, false, 'good'],
    [second.label, null, false, 'good'],
    [first.label, 'before the upgrade', true, 'good'],
  ]);

  expect(await run(instance, ['backup', 'verify', '--all', '--deep'])).toMatchObject({ code: 0 });
  expect((await list(instance)).map(({ state, verifiedAt }) => [state, verifiedAt !== null])).toEqual(Array(3).fill(['verified', true]));
  expect(await readdir(third.path), 'the result is not in the backup itself').not.toContain('verified');

  await appendFile(join(third.path, 'PG_VERSION'), '\n'); // Copied in full: it shares no file with the others.
  const verified = await run(instance, ['backup', 'verify', '--all']);
  expect(verified).toMatchObject({ code: 65, stdout: expect.stringMatching(/PG_VERSION has \d+ bytes instead of/) });
  expect((await list(instance)).map(({ state }) => state)).toEqual(['damaged', 'verified', 'verified']);
  expect((await run(instance, ['backup', 'show', 'latest'])).stdout).toContain(second.label);
  const shown = await run(instance, ['backup', 'show', third.label]);
  expect(shown.stdout).toMatch(/problem .*PG_VERSION/);
  expect((await running.stop()).code).toBe(0);
});

nightly('a missing file of a backup is named, and one that is put right again counts again', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const { label, path } = await create(instance); // Cold: nothing runs.
  await appendFile(join(path, 'postgresql.conf'), '');
  await rm(join(path, 'pg_xact/0000'));
  expect(await run(instance, ['backup', 'verify', label])).toMatchObject({
    code: 65,
    stdout: expect.stringContaining('pg_xact/0000 is missing'),
  });
  const again = await create(instance, '--full');
  expect(again.state).toBe('good');
  expect(await run(instance, ['backup', 'verify'])).toMatchObject({ code: 0, stdout: expect.stringContaining(again.label) });
});

test('cleanup keeps what is pinned and the last good one, and says why', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const pinned = await create(instance, '--pin');
  const second = await create(instance);
  const third = await create(instance, '--full');
  const env = { MAX_BACKUPS: '1' };
  const plan = await run(instance, ['backup', 'cleanup', '--dry-run'], { env });
  expect(
    plan.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
  ).toEqual([
    ['keep', third.label, 'it is the newest good backup'],
    ['would remove', second.label, 'newer good backups: 1'],
    ['keep', pinned.label, 'it is pinned'],
  ]);
  expect(await list(instance)).toHaveLength(3);
  expect(await run(instance, ['backup', 'cleanup'], { env })).toMatchObject({ code: 0 });
  expect((await list(instance)).map(({ label }) => label)).toEqual([third.label, pinned.label]);
});

test('quarantined data has a retention of its own, and only what dbkit named is removed', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const root = join(instance.backupDir, 'quarantine');
  const labels = [1, 2, 3, 4, 5].map((day) => `corrupt_2020010${day}_000000`);
  for (const name of [...labels, 'my-own-copy']) await makeDirectory(join(root, name, 'base'), serverUser);
  const plan = await run(instance, ['backup', 'cleanup', '--dry-run', '--json']);
  const { report } = JSON.parse(plan.stdout) as { report: { quarantine: { keep: boolean }[] } };
  expect(report.quarantine.map(({ keep }) => keep)).toEqual([true, true, true, false, false]);
  expect(await readdir(root)).toHaveLength(6);
  await create(instance);
  expect(await readdir(root)).toEqual([...labels.slice(2), 'my-own-copy']);
});

test('nothing to back up is said in words', async () => {
  const instance = await openInstance({ programs: programs!, from: 'empty' });
  const { code, stderr } = await run(instance, ['backup', 'create']);
  expect(code).toBe(65);
  expect(stderr).toMatch(/^dbkit: .*\nHINT: /m);
  expect(await list(instance)).toEqual([]);
});

nightly('a backup may go slowly and last, and every so many share nothing', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await configure(instance, { backup: { fullEvery: 2 } });
  const running = await boot(instance);
  await sleep(2_500); // As above.
  const backups = [await create(instance), await create(instance, '--rate-limit', '900MB', '--low-priority'), await create(instance)];
  expect(backups.map(sharesFiles)).toEqual([false, true, false]);
  expect(await run(instance, ['backup', 'verify', '--all'])).toMatchObject({ code: 0 });
  expect(await run(instance, ['backup', 'create', '--rate-limit', 'fast'])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/50MB/),
  });
  await running.stop();
});

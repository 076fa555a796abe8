import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { treeOf } from '../harness/files.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { disaster, scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const ADDED = 10;

/** Overwrites one page of a backup's copy of a file, which it may share with others. */
async function harmBackup({ backupDir }: Instance, label: string, path: string): Promise<void> {
  await rm(join(backupDir, label, path));
}

async function labels({ backupDir }: Instance): Promise<string[]> {
  return (await readdir(backupDir)).filter((name) => /^data_\d{8}_\d{6}$/.test(name)).sort();
}

/** WAL back to the older backup, as instances that dbkit has made keep it. */
const keepsWal = { postgresql: { settings: { wal_keep_size: '256MB' } } };

async function twoBackups(instance: Instance): Promise<void> {
  await takeBackup(instance);
  await addRows(instance, known.ledger + 1, ADDED);
  await sleep(1_100); // Labels are of the second.
  await takeBackup(instance);
}

scenario(
  {
    name: 'a table is gone, and the newest backup has lost it too',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none: the older backup is used in the same boot, with the WAL since then',
    from: 'template',
  },
  async (instance) => {
    await configure(instance, keepsWal);
    const running = await boot(instance);
    await twoBackups(instance);
    await expectStopped(instance, await running.stop());
    const [, newest] = await labels(instance);
    await harmBackup(instance, newest!, instance.places.ledger);
    await remove(instance, instance.places.ledger);
    const again = await boot(instance);
    expect(again.words()).toContain(`${newest} is damaged`);
    await expectAllRows(instance, ADDED);
    const listed = await run(instance, ['backup', 'list', '--json']);
    const { report } = JSON.parse(listed.stdout) as { report: { backups: { label: string; state: string }[] } };
    expect(report.backups.find(({ label }) => label === newest)?.state).toBe('damaged');
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'a table is gone, and every backup has lost it too',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those of that table; every other one is served at the first boot',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await twoBackups(instance);
    await expectStopped(instance, await running.stop());
    for (const label of await labels(instance)) await harmBackup(instance, label, instance.places.ledger);
    await remove(instance, instance.places.ledger);
    const again = await boot(instance);
    expect(await ask(instance, 'app', 'SELECT count(*)::int FROM documents')).toEqual([{ count: known.documents }]);
    expect(await ask(instance, 'archive', 'SELECT count(*)::int FROM ledger')).toEqual([{ count: known.archive }]);
    expect(again.words()).toMatch(/damaged and not mended/);
    await expectStopped(instance, await again.stop());
  },
);

disaster({
  name: 'every second file of one database is gone, and there is no backup',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those of that database; no failing repair keeps another one down',
  left: 'clean',
  break: async (instance) => {
    const files = await readdir(join(instance.dataDir, instance.places.archive));
    await remove(instance, ...files.filter((_, index) => index % 2 === 1).map((name) => join(instance.places.archive, name)));
  },
  expect: {
    finding: 'catalog.missing',
    lost: /damaged/,
    remains: ['catalog.missing', 'catalog-index.damaged'],
    rows: async (instance, added) => {
      expect(await ask(instance, 'app', 'SELECT count(*)::int FROM ledger')).toEqual([{ count: known.ledger + added }]);
    },
  },
});

scenario(
  {
    name: 'the directory global is gone, and every backup is damaged in one table',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'those of that table, told; everything else of the newest backup is served, with the WAL since then',
    from: 'template',
  },
  async (instance) => {
    await configure(instance, keepsWal);
    const running = await boot(instance);
    await twoBackups(instance);
    await ask(instance, 'archive', 'CREATE TABLE later AS SELECT generate_series(1, 5) AS id');
    await ask(instance, 'app', 'UPDATE ledger SET note = note WHERE id <= 10'); // WAL about pages that no backup holds any more.
    await expectStopped(instance, await running.stop());
    for (const label of await labels(instance)) await harmBackup(instance, label, instance.places.ledger);
    const before = await treeOf(instance.dataDir, ['.dbkit', 'global', 'postmaster.pid']);
    await remove(instance, 'global');

    const again = await boot(instance);
    const served = [
      await ask(instance, 'app', 'SELECT count(*)::int FROM documents'),
      await ask(instance, 'archive', 'SELECT count(*)::int FROM ledger'),
      await ask(instance, 'archive', 'SELECT count(*)::int FROM later'),
    ];
    expect(served, again.words()).toEqual([[{ count: known.documents }], [{ count: known.archive }], [{ count: 5 }]]);
    const report = await readRecovery(instance);
    expect(report).toMatchObject({ decision: 'restore', reason: 'damaged-with-damaged-backup' });
    expect(report?.losses).toContainEqual(expect.objectContaining({ path: instance.places.ledger, oldBytes: report?.quarantine }));
    const kept = await treeOf(report!.quarantine!);
    for (const path of Object.keys(before).filter((name) => name.startsWith('base/'))) expect(kept[path], path).toBe(before[path]);
    await expectStopped(instance, await again.stop());

    const third = await boot(instance);
    expect(third.words(), 'it stays known').toMatch(/damaged and not mended/);
    expect(third.words()).not.toMatch(/restoring/);
    await expectStopped(instance, await third.stop());
  },
);

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { crash, remove } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { until } from '../harness/processes.ts';
import { isLongTier } from '../harness/tier.ts';
import { archiveOf, withArchive } from '../wal/kept.ts';
import { missingOf, startWriter } from './acknowledged.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

const { signal } = new AbortController();

scenario(
  {
    name: 'everything was killed and the whole data directory is gone, three times over; the repository lives',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none older than a second: the archive has the WAL, along every timeline',
    from: 'empty',
  },
  async (instance) => {
    let running = await boot(instance, withArchive);
    await takeBackup(instance);
    let next = 1;
    const timelines = isLongTier ? [2, 3] : [2]; // The second time is the same on one timeline more.
    for (const timeline of timelines) {
      const writer = await startWriter(instance, next);
      await until(
        () => (writer.acknowledged().at(-1)?.atMs ?? 0) - (writer.acknowledged()[0]?.atMs ?? 0) > 1_500,
        () => 'nobody writes',
      );
      await crash(instance, running);
      await writer.stop();
      await remove(instance, ...(await readdir(instance.dataDir)));

      running = await boot(instance, withArchive);
      expect(await missingOf(instance, writer), running.words()).toBe(0);
      expect(await readRecovery(instance)).toMatchObject({
        decision: 'restore',
        losses: [{ kind: 'window' }],
        lost: expect.stringMatching(/archive|it had come to LSN/), // The mark may be a moment ahead of it.
      });
      expect(await askNumber(instance, 'postgres', `SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int`)).toBe(
        timeline,
      );
      next = (writer.acknowledged().at(-1)?.id ?? 0) + 1_000;
    }
    const archive = await archiveOf(instance);
    await until(
      async () => (await archive.timelines(signal)).length === timelines.length + 1,
      () => `the last timeline is not kept:\n${running.words()}`,
    );
    const histories = [
      [1, []],
      [2, [1]],
      [3, [1, 2]],
    ];
    expect((await archive.timelines(signal)).map(({ id, history }) => [id, history.map((fork) => fork.timeline)])).toEqual(
      histories.slice(0, timelines.length + 1),
    );
    await running.stop();
    expect(await readdir(join(instance.backupDir, 'wal'))).toHaveLength(1);
  },
);

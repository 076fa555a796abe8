import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { crash, truncateTo } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped, quarantined } from './verdict.ts';

const ADDED = 10;
const inDbkit = ({ dataDir }: Instance, name: string): string => join(dataDir, '.dbkit', name);

/** What happens to the pieces of a restore that was killed at `step`. */
const stories: readonly {
  readonly name: string;
  readonly step: string;
  readonly longTier?: boolean;
  readonly harm: (instance: Instance) => Promise<void>;
  readonly says: RegExp;
}[] = [
  {
    name: 'before anything was moved, and the new cluster was cleaned away',
    step: 'replace.journaled:1',
    harm: (instance) => rm(inDbkit(instance, 'incoming'), { recursive: true }),
    says: /never began/,
  },
  {
    name: 'half-way through setting aside, and the new cluster was cleaned away',
    step: 'replace.entry-set-aside:9',
    longTier: true,
    harm: (instance) => rm(inDbkit(instance, 'incoming'), { recursive: true }),
    says: /is put back/,
  },
  {
    name: 'half-way through setting aside, and its journal is empty',
    step: 'replace.entry-set-aside:9',
    harm: (instance) => truncate(inDbkit(instance, 'journal.json'), 0),
    says: /is put back/,
  },
  {
    name: 'half-way through setting aside, and dbkit’s folder was cleaned away',
    step: 'replace.entry-set-aside:5',
    longTier: true,
    harm: (instance) => rm(join(instance.dataDir, '.dbkit'), { recursive: true }),
    says: /is put back/,
  },
  {
    name: 'half-way through the new cluster, and the rest of it was cleaned away',
    step: 'replace.entry-published:5',
    harm: (instance) => rm(inDbkit(instance, 'incoming'), { recursive: true }),
    says: /is put back/,
  },
  {
    name: 'half-way through the new cluster, and its journal is full of NULs',
    step: 'replace.entry-published:5',
    longTier: true,
    harm: (instance) => writeFile(inDbkit(instance, 'journal.json'), Buffer.alloc(300)),
    says: /the rest of the new cluster follows/,
  },
];

for (const { name, step, longTier = false, harm, says } of stories) {
  scenario(
    {
      name: `a restore was killed ${name}`,
      section: 'C',
      detectedBefore: true,
      healedBy: 'restore',
      rowsLost: 'none: nothing is set aside twice, and the WAL since the backup is there',
      longTier,
      from: 'template',
    },
    async (instance) => {
      const running = await boot(instance);
      await takeBackup(instance);
      await addRows(instance, known.ledger + 1, ADDED);
      await crash(instance, running);
      await truncateTo(instance, 'global/pg_control', 0);
      await run(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: step } });
      await harm(instance);

      const again = await boot(instance);
      expect(again.words()).toMatch(says);
      await expectAllRows(instance, ADDED);
      const whole = await quarantined(instance);
      expect(whole, 'the old data is in one place').toHaveLength(1);
      expect(await readdir(whole[0]!)).toEqual(expect.arrayContaining(['PG_VERSION', 'base', 'global', 'pg_wal', 'pg_xact']));
      await expectStopped(instance, await again.stop());
      const last = await boot(instance);
      await expectAllRows(instance, ADDED);
      await expectStopped(instance, await last.stop());
    },
  );
}

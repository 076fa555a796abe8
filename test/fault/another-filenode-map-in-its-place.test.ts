import { copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { crash } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

/** Of the shared catalogs, and of the database app. */
const mapsOf = ({ dataDir, places }: Instance): readonly string[] =>
  ['global', dirname(places.ledger)].map((home) => join(dataDir, home, 'pg_filenode.map'));

for (const [what, isShared] of [
  ['the map of a database stands for that of the shared catalogs', true],
  ['the map of the shared catalogs stands for that of a database', false],
] as const)
  scenario(
    {
      name: `${what} after a clean stop: each is sound by its checksum, and a copy of the right one was kept`,
      section: 'B',
      detectedBefore: true,
      healedBy: 'repair',
      rowsLost: 'none',
      from: 'template',
    },
    async (instance) => {
      const first = await boot(instance);
      await expectStopped(instance, await first.stop());
      const [shared, own] = mapsOf(instance);
      await (isShared ? copyFile(own!, shared!) : copyFile(shared!, own!));
      const again = await boot(instance);
      await expectAllRows(instance, 0);
      const report = await readRecovery(instance);
      expect(report, again.words()).toMatchObject({ decision: 'repair', losses: [{ kind: 'nothing' }] });
      expect(report?.findings).toContainEqual(expect.objectContaining({ code: 'filenode-map.damaged' }));
      await expectStopped(instance, await again.stop());
    },
  );

scenario(
  {
    name: 'the map of a database stands for that of the shared catalogs after a crash, and there is no backup',
    section: 'D',
    detectedBefore: true,
    healedBy: 'reinitialize',
    rowsLost: 'all of them are in the quarantine',
    from: 'template',
  },
  async (instance) => {
    await crash(instance, await boot(instance));
    const [shared, own] = mapsOf(instance);
    await copyFile(own!, shared!);
    const again = await boot(instance);
    expect(await readRecovery(instance), again.words()).toMatchObject({ decision: 'reinitialize', losses: [{ kind: 'cluster' }] });
    await expectStopped(instance, await again.stop());
  },
);

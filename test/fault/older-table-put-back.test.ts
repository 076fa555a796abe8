import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { boot, inspect } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';

scenario(
  {
    name: 'an older version of a table’s file was put in its place: its pages are sound, and the WAL knows that they lack what was written since',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those changed in between: the pages are told',
    from: 'template',
  },
  async (instance) => {
    const file = join(instance.dataDir, instance.places.ledger);
    const older = await readFile(file);
    const running = await boot(instance);
    await ask(instance, 'app', "UPDATE ledger SET note = 'changed' WHERE id <= 10", 'VACUUM ledger', 'CHECKPOINT');
    await running.stop();
    const { length } = await readFile(file);
    await writeFile(file, older);
    await truncate(file, length);

    const { findings } = await inspect(instance);
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'relation.changed', evidence: expect.stringContaining('lacks what the WAL wrote to it last') }),
    );
  },
);

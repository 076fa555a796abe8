import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { boot, inspect } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';

scenario(
  {
    name: 'an older version of a table’s file was put in its place: its pages are sound, and nobody claims that they are the same',
    section: 'C',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'those changed in between: only their time tells',
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
    expect(findings).toMatchObject([{ code: 'times.differ', evidence: expect.stringContaining('no damage was found in them') }]);
  },
);

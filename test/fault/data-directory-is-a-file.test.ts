import { rm, writeFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { run } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';

scenario(
  {
    name: 'PGDATA names a file',
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none',
    from: 'empty',
  },
  async (instance) => {
    await rm(instance.dataDir, { recursive: true });
    await writeFile(instance.dataDir, 'a file');
    const refused = await run(instance, ['entrypoint']);
    expect(refused, refused.stderr).toMatchObject({ code: 77 });
    expect(refused.stderr).toMatch(/not a directory/);
  },
);

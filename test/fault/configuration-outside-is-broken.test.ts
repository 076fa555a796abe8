import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { boot, run } from '../harness/dbkit.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { quarantined } from './verdict.ts';

const markers = '<<<<<<< HEAD\n';

scenario(
  {
    name: 'a configuration file outside PGDATA, which postgresql.conf includes, holds merge markers',
    section: 'A',
    detectedBefore: false,
    healedBy: 'refusal',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const outside = join(instance.root, 'project.conf');
    await writeFile(outside, markers, { mode: 0o644 });
    await appendFile(join(instance.dataDir, 'postgresql.conf'), `include '${outside}'\n`);

    const refused = await run(instance, ['entrypoint', '--strict', '--', 'true']);
    expect(refused, refused.stderr).toMatchObject({ code: 78 });
    expect(refused.stderr).toContain(`mend ${outside} itself`);
    expect(await quarantined(instance)).toEqual([]);
    expect(await readFile(outside, 'utf8')).toBe(markers);

    await writeFile(outside, "work_mem = '7MB'\n");
    const again = await boot(instance);
    await expectAllRows(instance, 0);
    await again.stop();
  },
);

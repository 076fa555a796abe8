import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import { asServerUser } from '../harness/as-user.ts';
import { boot, run } from '../harness/dbkit.ts';
import { configure } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

const programs = installed.find(({ directory }) => existsSync(join(directory, 'pg_checksums')));

scenario(
  {
    name: 'a start was refused for a setting, and the cluster has no checksums: after it is mended nothing is doubted',
    section: 'A',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
    majors: programs ? [programs.major] : [],
  },
  async (instance) => {
    await execa(join(programs!.directory, 'pg_checksums'), ['--disable', '-D', instance.dataDir], asServerUser);
    await expectStopped(instance, await (await boot(instance)).stop());
    await configure(instance, { postgresql: { settings: { shared_preload_libraries: 'no_such_library' } } });
    expect((await run(instance, ['entrypoint'])).code).not.toBe(0);
    await configure(instance, {});
    const running = await boot(instance);
    expect(running.words()).not.toMatch(/not known/);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);

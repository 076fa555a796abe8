import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import { asServerUser } from '../harness/as-user.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { installed } from '../harness/majors.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { expectStopped } from './verdict.ts';

const programs = installed.find(({ directory }) => existsSync(join(directory, 'pg_checksums')));
const [FROM, PAGE_BYTES] = [4096, 8192];

scenario(
  {
    name: 'the tuples of a page were zeroed while the server was stopped, and the cluster has no checksums',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those of that page',
    from: 'template',
    majors: programs ? [programs.major] : [],
  },
  async (instance) => {
    await execa(join(programs!.directory, 'pg_checksums'), ['--disable', '-D', instance.dataDir], asServerUser);
    await expectStopped(instance, await (await boot(instance)).stop());
    const file = await open(join(instance.dataDir, instance.places.ledger), 'r+');
    await file.write(Buffer.alloc(PAGE_BYTES - FROM), 0, PAGE_BYTES - FROM, FROM);
    await file.close();
    const running = await boot(instance);
    await expectOtherTables(instance);
    expect((await readRecovery(instance))?.lost).toMatch(
      new RegExp(`damaged and not mended: ${instance.places.ledger} .*1 of \\d+ pages is lost`),
    );
    await expectStopped(instance, await running.stop());
  },
);

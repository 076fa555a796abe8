import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import { asServerUser } from '../harness/as-user.ts';
import { inspect } from '../harness/dbkit.ts';
import { installed } from '../harness/majors.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

const programs = installed.find(({ directory }) => existsSync(join(directory, 'pg_checksums')));

disaster({
  name: 'pg_checksums switched the checksums off while the server was stopped, and there is a backup',
  section: 'A',
  detectedBefore: false,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'clean',
  majors: programs ? [programs.major] : [],
  prepare: takeBackup,
  break: async (instance) => {
    await execa(join(programs!.directory, 'pg_checksums'), ['--disable', '-D', instance.dataDir], asServerUser);
    expect(await inspect(instance)).toMatchObject({ checksums: false, inventory: 'void', findings: [] });
  },
  expect: { quarantine: 'none' },
});

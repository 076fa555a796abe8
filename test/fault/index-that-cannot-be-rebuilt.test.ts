import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { remove } from '../harness/breaking.ts';
import { boot } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { disaster } from './disaster.ts';

/** The programs, of which `postgres` has no single-user mode: as where memory, shared memory or a setting is missing for it. */
const lamed = (instance: Instance): string => join(instance.root, 'lamed');

disaster({
  name: 'an index of pg_database is gone (global/2671), single-user mode does not start, and there is no backup',
  section: 'D',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none: every row is in the tables, so nothing is replaced; the next start tries again',
  left: 'clean',
  break: async (instance) => {
    await remove(instance, 'global/2671');
    const { directory } = instance.programs;
    await mkdir(lamed(instance));
    for (const name of await readdir(directory)) if (name !== 'postgres') await symlink(join(directory, name), join(lamed(instance), name));
    const words = `#!/bin/sh\nfor word; do if [ "$word" = --single ]; then echo 'FATAL:  could not map shared memory' >&2; exit 1; fi; done\nexec '${join(directory, 'postgres')}' "$@"\n`;
    await writeFile(join(lamed(instance), 'postgres'), words);
    await chmod(join(lamed(instance), 'postgres'), 0o755);
  },
  mend: async (instance) => {
    const { stop } = await boot(instance); // Whatever was missing is there again.
    await stop();
  },
  env: (instance) => ({ POSTGRES_BIN_DIR: lamed(instance) }),
  expect: { exit: 65, message: /could not be rebuilt; every row is in the tables/, finding: 'catalog-index.damaged', quarantine: 'none' },
});

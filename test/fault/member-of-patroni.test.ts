import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { write } from '../harness/breaking.ts';
import { run } from '../harness/dbkit.ts';
import { disaster } from './disaster.ts';

const CACHE = 'patroni.dynamic.json'; // Patroni keeps the cluster's configuration there (patroni/config.py, CACHE_FILENAME).
const MAP = 'global/pg_filenode.map';

disaster({
  name: 'the data directory is that of a Patroni member, and a file in it is gone: Patroni rebuilds it from another member',
  section: 'A',
  detectedBefore: false,
  healedBy: 'refusal',
  rowsLost: 'none: nothing is touched',
  left: 'clean',
  break: async (instance) => {
    await write(instance, CACHE, '{"ttl": 30}');
    await rename(join(instance.dataDir, MAP), join(instance.dataDir, '..', 'the-map'));
  },
  mend: async (instance) => {
    const asked = await run(instance, ['recover', '--yes']);
    expect(asked, asked.stderr).toMatchObject({ code: 77 });
    expect(asked.stderr).toContain('is a member of a Patroni cluster');
    expect(existsSync(join(instance.dataDir, MAP)), 'what dbkit alone would bring back').toBe(false);
    await rename(join(instance.dataDir, '..', 'the-map'), join(instance.dataDir, MAP));
    await rm(join(instance.dataDir, CACHE));
  },
  expect: { exit: 77, message: /is a member of a Patroni cluster/ },
});

import { existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startBare } from '../harness/bare-server.ts';
import { write } from '../harness/breaking.ts';
import { run } from '../harness/dbkit.ts';
import { configure } from '../harness/instance.ts';
import { freeze } from '../harness/processes.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster, scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

const CACHE = 'patroni.dynamic.json'; // Patroni keeps the cluster's configuration there (patroni/config.py, CACHE_FILENAME).
const MAP = 'global/pg_filenode.map';

disaster({
  name: 'the data directory is that of a Patroni member, and a file in it is gone: Patroni rebuilds it from another member',
  section: 'A',
  detectedBefore: false,
  healedBy: 'refusal',
  rowsLost: 'none: nothing is touched',
  left: 'clean',
  config: { monitor: { maxFailures: 1 } },
  prepare: takeBackup,
  break: async (instance) => {
    await write(instance, CACHE, '{"ttl": 30}');
    await rename(join(instance.dataDir, MAP), join(instance.dataDir, '..', 'the-map'));
  },
  mend: async (instance) => {
    for (const words of [['recover'], ['up', '--detach'], ['backup', 'restore', 'latest'], ['monitor', '--once']]) {
      const asked = await run(instance, [...words, '--yes']);
      expect(asked.code, asked.stderr + asked.stdout).not.toBe(0);
      expect(asked.stderr + asked.stdout, words.join(' ')).toContain('is a member of a Patroni cluster');
    }
    expect(existsSync(join(instance.dataDir, MAP)), 'what dbkit alone would bring back').toBe(false);
    await rename(join(instance.dataDir, '..', 'the-map'), join(instance.dataDir, MAP));
    await rm(join(instance.dataDir, CACHE));
  },
  expect: { exit: 77, message: /is a member of a Patroni cluster/ },
});

scenario(
  {
    name: 'the server of a Patroni member stands still: dbkit wakes and stops nothing there',
    section: 'A',
    detectedBefore: false,
    healedBy: 'refusal',
    rowsLost: 'none: nothing is touched',
    from: 'template',
  },
  async (instance) => {
    await configure(instance, { monitor: { maxFailures: 1 } });
    await write(instance, CACHE, '{"ttl": 30}');
    const server = await startBare(instance.programs, instance.dataDir, instance);
    await freeze(server.pid); // A leader that is frozen and wakes beside a new one is a split brain.
    const watched = await run(instance, ['monitor', '--once']);
    expect(watched.stderr + watched.stdout).toContain('is a member of a Patroni cluster');
    expect(await readFile(`/proc/${server.pid}/stat`, 'utf8'), watched.stderr).toMatch(/^\d+ \(postgres\) T /);
    process.kill(server.pid, 'SIGCONT');
    await expectAllRows(instance, 0);
    await server.stop();
  },
);

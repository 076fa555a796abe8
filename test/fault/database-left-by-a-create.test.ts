import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import { known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';

scenario(
  {
    name: 'a CREATE DATABASE was killed and left a folder with half of its files, and there is a backup: no database has that number, and nobody misses it',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    expect((await run(instance, ['backup', 'create'])).code).toBe(0);
    await first.stop();
    const left = join(instance.dataDir, 'base', '77777');
    await mkdir(left, { mode: 0o700 });
    await ownedBy(left, serverUser);
    for (const name of ['PG_VERSION', 'pg_filenode.map']) {
      await copyFile(join(instance.dataDir, 'base', '1', name), join(left, name));
      await ownedBy(join(left, name), serverUser);
    }
    const second = await boot(instance);
    expect(second.words()).not.toMatch(/damaged|restoring/);
    expect(await readdir(join(instance.backupDir, 'quarantine')).catch(() => [])).toEqual([]);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger);
    await second.stop();
  },
);

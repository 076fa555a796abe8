import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { isRoot, serverUser } from '../harness/as-user.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { needsReachableProgram } from '../harness/permissions.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'files that only root could read (mode 0000), and dbkit runs as their owner',
    section: 'A',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none',
    needs: () => (isRoot ? needsReachableProgram() : undefined),
    from: 'template',
  },
  async (instance) => {
    await makeDirectory(instance.stateDir, serverUser);
    const closed = ['global/pg_control', 'global/pg_filenode.map', 'PG_VERSION', 'pg_xact', 'base'];
    for (const path of closed) {
      await chmod(join(instance.dataDir, path), 0);
      const look = await run(instance, ['inspect', '--json'], { as: serverUser });
      expect(look.stdout, `${path}: nothing but its mode is judged`).not.toMatch(/damaged|missing|lost|broken/);
      const running = await boot(instance, { as: serverUser });
      await expectAllRows(instance, 0);
      expect(await readRecovery(instance), path).toMatchObject({ decision: 'repair', lost: 'nothing', quarantine: null });
      await expectStopped(instance, await running.stop());
    }
  },
);

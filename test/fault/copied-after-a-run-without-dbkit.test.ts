import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { startBare } from '../harness/bare-server.ts';
import { remove } from '../harness/breaking.ts';
import { treeOf } from '../harness/files.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'the server ran without dbkit and crashed, the directory was copied without its times, and pg_control is gone',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none: the kept pg_control is not the current one, but all the WAL after it is there',
  left: 'clean',
  break: async (instance) => {
    const server = await startBare(instance.programs, instance.dataDir, instance);
    await addRows(instance, known.ledger + 201, 5);
    process.kill(server.pid, 'SIGKILL');
    await server.exited;
    const now = new Date();
    for (const path of Object.keys(await treeOf(instance.dataDir)))
      await utimes(join(instance.dataDir, path), now, now).catch(() => undefined);
    await remove(instance, 'global/pg_control', 'postmaster.pid');
  },
  expect: { finding: 'control.damaged', rows: (instance, added) => expectAllRows(instance, added + 5), lost: /^nothing$/ },
});

import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { startBare } from '../harness/bare-server.ts';
import { remove } from '../harness/breaking.ts';
import { treeOf } from '../harness/files.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { disaster } from './disaster.ts';
import { takeBackup } from './take-backup.ts';

const LATER = 50;

disaster({
  name: 'the server ran without dbkit and crashed, the directory was copied without its times, and pg_control is gone',
  section: 'C',
  detectedBefore: true,
  healedBy: 'restore',
  rowsLost: 'none: the kept pg_control is not taken for the current one, as there is WAL after it',
  left: 'clean',
  prepare: takeBackup,
  break: async (instance) => {
    const server = await startBare(instance.programs, instance.dataDir, instance);
    await addRows(instance, known.ledger + 201, LATER);
    process.kill(server.pid, 'SIGKILL');
    await server.exited;
    const now = new Date();
    for (const path of Object.keys(await treeOf(instance.dataDir)))
      await utimes(join(instance.dataDir, path), now, now).catch(() => undefined);
    await remove(instance, 'global/pg_control', 'postmaster.pid');
  },
  expect: {
    finding: 'control.damaged',
    rows: (instance, added) => expectAllRows(instance, added + LATER),
    quarantine: 'whole',
    lost: /^nothing$/,
  },
});

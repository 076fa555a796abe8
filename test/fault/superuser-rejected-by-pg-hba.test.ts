import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { askNumber } from '../harness/ask.ts';
import type { Instance } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster } from './disaster.ts';

const hba = ({ dataDir }: Instance): string => join(dataDir, 'pg_hba.conf');
const reject = 'local all postgres reject\n';

/** Lets the superuser in again, so that somebody can count. */
async function letIn(instance: Instance): Promise<void> {
  const text = await readFile(hba(instance), 'utf8');
  await writeFile(hba(instance), text.replace(reject, ''));
  const [pid] = (await readFile(join(instance.dataDir, 'postmaster.pid'), 'utf8')).split('\n');
  process.kill(Number(pid), 'SIGHUP');
  await until(
    () =>
      askNumber(instance, 'postgres', 'SELECT 1').then(
        () => true,
        () => false,
      ),
    () => 'the superuser is not let in again',
  );
}

disaster({
  name: 'pg_hba.conf rejects the superuser',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: async (instance) => writeFile(hba(instance), `${reject}${await readFile(hba(instance), 'utf8')}`),
  expect: {
    finding: 'shutdown.unclean',
    rows: async (instance, added) => {
      await letIn(instance);
      await expectAllRows(instance, added);
    },
  },
});

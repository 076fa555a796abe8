import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { disaster, scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped, quarantined } from './verdict.ts';

const hba = ({ dataDir }: Instance): string => join(dataDir, 'pg_hba.conf');

/** The other superuser, who lets the first one in again, so that somebody can count. */
async function letIn({ socketDir: host, port }: Instance, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ host, port, user: 'boss', database: 'postgres' });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

scenario(
  {
    longTier: true, // superuser-rejected-by-pg-hba.test.ts is its sibling.
    name: 'the superuser may not log in any more (NOLOGIN)',
    section: 'A',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 50);
    await ask(instance, 'postgres', 'CREATE ROLE boss SUPERUSER LOGIN', 'ALTER ROLE postgres NOLOGIN');
    await expectStopped(instance, await first.stop());
    const running = await boot(instance);
    expect(running.words()).toMatch(/could not be checked, .*role "postgres" is not permitted to log in.*; LOGIN, /);
    await letIn(instance, 'ALTER ROLE postgres LOGIN');
    expect(await quarantined(instance)).toEqual([]);
    await expectAllRows(instance, 50);
    await expectStopped(instance, await running.stop());
  },
);

/** Nobody listens on port 1. Every build has RADIUS, and not every one LDAP. */
const directory = 'local all postgres radius radiusservers=127.0.0.1 radiusports=1 radiussecrets=x\n';

disaster({
  longTier: true,
  name: 'the directory service that pg_hba.conf asks about the superuser does not answer',
  section: 'A',
  detectedBefore: false,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'clean',
  prepare: async (instance) => void (await ask(instance, 'postgres', 'CREATE ROLE boss SUPERUSER LOGIN')),
  break: async (instance) => writeFile(hba(instance), `${directory}${await readFile(hba(instance), 'utf8')}`),
  expect: {
    rows: async (instance, added) => {
      await writeFile(hba(instance), (await readFile(hba(instance), 'utf8')).replace(directory, ''));
      await letIn(instance, 'SELECT pg_reload_conf()');
      const isIn = () => askNumber(instance, 'postgres', 'SELECT 1').then(Boolean, () => false);
      await until(isIn, () => 'the superuser is not let in again');
      await expectAllRows(instance, added);
    },
  },
});

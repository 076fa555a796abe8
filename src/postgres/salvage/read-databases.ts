import { wordsOf } from '../../core/errors.ts';
import type { SalvagedTable } from '../../core/salvage.ts';
import type { Local } from '../local.ts';
import { loosenConstraints } from './constraints.ts';
import { readTable, TABLES, type UserTable, type Wipe } from './read-table.ts';
import { renewSequences } from './sequences.ts';
import { openPatiently, type PatientSession } from './session.ts';

export interface DatabaseRead {
  readonly name: string;
  /** `paths`: its own and its TOAST table's, as the server names them; `wiped`: pages of it that were emptied now. */
  readonly tables: readonly (Omit<SalvagedTable, 'pagesLost'> & { readonly paths: readonly string[]; readonly wiped: number })[];
  readonly constraints: readonly string[];
}

interface Reading {
  mend(words: string): Promise<boolean>;
  /** Something had to be assumed: uniqueness may no longer hold anywhere. */
  readonly isDoubtful: boolean;
}

/** Reads every row of every table, and takes out of the copy what cannot be read, so that pg_dump can read the rest. */
export async function readDatabases(
  local: Local,
  socketDir: string,
  { mend, isDoubtful }: Reading,
  signal: AbortSignal,
): Promise<{ databases: DatabaseRead[]; unreachable: { database: string; words: string }[]; wipes: Wipe[] }> {
  const databases: DatabaseRead[] = [];
  const unreachable: { database: string; words: string }[] = [];
  const wipes: Wipe[] = [];
  for (const name of await namesOf(local, socketDir, mend, signal)) {
    signal.throwIfAborted();
    try {
      const session = await openPatiently(local, { database: name, socketDir, mend }, signal);
      try {
        const read = await readTables(session, name, wipes);
        local.system.log.info(
          'salvage.read',
          `${name}: ${read.reduce((sum, { rows }) => sum + rows, 0)} rows of ${read.length} tables can be read`,
        );
        const hasLoss = isDoubtful || read.some(({ rowsLost, because }) => rowsLost > 0 || because !== null) || wipes.length > 0;
        const constraints = [...(await renewSequences(session)), ...(await loosenConstraints(session, { unique: hasLoss }))];
        databases.push({ name, tables: read, constraints: constraints.map((words) => `${name}: ${words}`) });
      } finally {
        await session.end();
      }
    } catch (cause) {
      signal.throwIfAborted();
      unreachable.push({ database: name, words: wordsOf(cause) });
    }
  }
  return { databases, unreachable, wipes };
}

async function namesOf(local: Local, socketDir: string, mend: Reading['mend'], signal: AbortSignal): Promise<string[]> {
  const ask = async (database: string): Promise<string[]> => {
    const session = await openPatiently(local, { database, socketDir, mend }, signal);
    try {
      const rows = await session.query<{ name: string }>(
        'SELECT datname AS name FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1',
      );
      return rows.map(({ name }) => name);
    } finally {
      await session.end();
    }
  };
  return ask('postgres').catch(() => ask('template1'));
}

async function readTables(session: PatientSession, database: string, wipes: Wipe[]): Promise<DatabaseRead['tables']> {
  const tables = await session.query<UserTable>(TABLES);
  const read: DatabaseRead['tables'][number][] = [];
  for (const table of tables) {
    const { rows, rowsLost, because, wipe } = await readTable(session, table);
    wipes.push(...wipe);
    read.push({ database, table: `${table.schema}.${table.name}`, rows, rowsLost, because, paths: table.paths, wiped: wipe.length });
  }
  return read;
}

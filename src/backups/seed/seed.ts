import type { Connection } from '../../instance/connection.ts';
import { rowsOf } from '../../instance/count-rows.ts';
import { openSql } from '../../instance/sql.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { listRelations } from '../dump/contents.ts';
import { type LoaderNeeds, openSession } from '../dump/loader.ts';
import { findTools } from '../dump/tools.ts';
import { asSeed, isEdited, manifestOf, type SeedManifest } from './seed-file.ts';

export interface LoadedSeed {
  readonly database: string;
  /** Null where the rows were not counted: there is no manifest, it counts none, or the seed was edited. */
  readonly tables: number | null;
  readonly rows: number | null;
  /** Somebody has written in it since it was saved, so its rows were not held against the manifest. */
  readonly isEdited: boolean;
}

/** A small database that lives in a project. */
export interface Seeds {
  /** The text and its manifest; nothing is written. Rejects with `usage.invalid` when it is larger, `program.missing` without pg_dump. */
  make(
    wish: { readonly database: string; readonly excludeTableData: readonly string[]; readonly maxBytes: number },
    signal: AbortSignal,
  ): Promise<{ readonly text: string; readonly manifest: SeedManifest }>;
  /**
   * Into a database without tables, as the application's role, whole or not at all. Rejects with `recovery.refused` where there are tables, with
   * `command.failed` and the place of the error, and with `data.corrupt` when rows are missing.
   */
  load(
    wish: { readonly database: string; readonly text: string; readonly manifest: SeedManifest | undefined },
    signal: AbortSignal,
  ): Promise<LoadedSeed>;
}

const ROWS_IN_A_STATEMENT = 500;

export function createSeeds(needs: LoaderNeeds): Seeds {
  return {
    async make({ database, excludeTableData, maxBytes }, signal) {
      const session = await openSession(needs, database, signal);
      try {
        const [server] = await session.query<{ number: string }>("SELECT current_setting('server_version_num') AS number");
        const pgVersion = Math.floor(Number(server!.number) / 10_000);
        const tools = await findTools(pgVersion, needs, signal);
        await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        const [size] = await session.query<{ bytes: string }>('SELECT pg_database_size(current_database()) AS bytes');
        if (Number(size!.bytes) > GROSS * maxBytes) throw tooLarge(database, Number(size!.bytes), maxBytes);
        const [snapshot] = await session.query<{ id: string }>('SELECT pg_export_snapshot() AS id');
        const args = [
          '--format=plain',
          '--no-owner',
          '--no-privileges',
          '--no-password',
          '--inserts',
          `--rows-per-insert=${ROWS_IN_A_STATEMENT}`,
        ];
        const excluded = excludeTableData.map((pattern) => `--exclude-table-data=${pattern}`);
        const { stdout } = await tools.run('pg_dump', [...args, `--snapshot=${snapshot!.id}`, ...excluded], signal, { database });
        const text = asSeed(`${stdout}\n`);
        if (Buffer.byteLength(text) > maxBytes) throw tooLarge(database, Buffer.byteLength(text), maxBytes);
        const tables = excluded.length > 0 ? [] : await countTables(session);
        return { text, manifest: manifestOf(text, { database, pgVersion, tables }) };
      } finally {
        await session.end();
      }
    },
    async load({ database, text, manifest }, signal) {
      const session = await openSession(needs, database, signal);
      try {
        const [table] = await listRelations(session, 'r');
        if (table)
          throw new DbkitError(
            'recovery.refused',
            `the database ${database} is not empty: there is the table ${table.schema}.${table.name}`,
            {
              hint: 'name an empty one with --database; nothing was changed',
            },
          );
        const edited = manifest !== undefined && isEdited(text, manifest);
        const counted = await run(needs, { database, text, expected: edited ? undefined : manifest }, signal);
        const rows = counted.reduce((sum, one) => sum + one.rows, 0);
        return { database, ...(counted.length > 0 ? { tables: counted.length, rows } : { tables: null, rows: null }), isEdited: edited };
      } finally {
        await session.end();
      }
    },
  };
}

/** A database of 7 MiB may be a seed of kilobytes: catalogs and indexes are not in it. */
const GROSS = 20;

const tooLarge = (database: string, bytes: number, maxBytes: number): DbkitError =>
  new DbkitError(
    'usage.invalid',
    `${database} makes a seed of about ${bytes} bytes, and no more than ${maxBytes} are wanted in a repository`,
    {
      hint: 'leave rows out with --exclude-table-data, or raise --max-size; nothing was written',
    },
  );

/** In one transaction of a role that may do what the application may. */
async function run(
  needs: LoaderNeeds,
  { database, text, expected }: { readonly database: string; readonly text: string; readonly expected: SeedManifest | undefined },
  signal: AbortSignal,
): Promise<SeedManifest['tables']> {
  const session = await openSql(needs, { database, asSuperuser: false }, signal);
  try {
    await session.run('BEGIN');
    await session.run(text);
    const rows: SeedManifest['tables'] = [];
    for (const { table, rows: wanted } of expected?.tables ?? []) {
      const [counted] = await session.run(`SELECT count(*) FROM ONLY ${table}`);
      const count = Number(counted?.rows[0]?.[0]);
      if (count !== wanted)
        throw new DbkitError('data.corrupt', `${table} has ${count} rows, and ${wanted} were saved`, {
          hint: 'save the seed again: `dbkit seed save`; nothing was changed',
        });
      rows.push({ table, rows: count });
    }
    await session.run('COMMIT');
    return rows;
  } finally {
    await session.end(); // Without its COMMIT nothing stays.
  }
}

async function countTables(session: Connection): Promise<SeedManifest['tables']> {
  const tables: SeedManifest['tables'] = [];
  for (const table of await listRelations(session, 'r')) {
    const [quoted] = await session.query<{ name: string }>("SELECT format('%I.%I', $1::text, $2::text) AS name", [
      table.schema,
      table.name,
    ]);
    tables.push({ table: quoted!.name, rows: (await rowsOf(session, table))! }); // Of a table they are always known.
  }
  return tables;
}

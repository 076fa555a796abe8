import { join } from 'node:path';
import type { Backup, FoundBackup } from '../backups/backup.ts';
import { asConnectionString, findTools } from '../backups/dump/tools.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import type { Connection } from '../instance/connection.ts';
import { openAsSuperuser } from '../instance/sessions.ts';
import { DbkitError } from '../kernel/errors.ts';
import { makeLabel } from '../kernel/labels.ts';
import type { TablesReport, TablesRequest } from './copies-contract.ts';
import { type GatheredTables, gatherTables } from './gather-tables.ts';
import { placeTables } from './place-tables.ts';
import { inScratchFolder, onScratchCopy } from './scratch.ts';

/** Where the tables come from: a throw-away copy of a base backup, or of one database of a dump. Both are dropped afterwards. */
interface Source {
  readonly socketDir: string;
  readonly database: string;
}

/**
 * Brings single tables of a backup into the running server with their indexes, constraints, triggers and owned sequences. A table whose place is
 * free goes there; one that is there keeps its place, and the backup's lies beside it in a schema of its own: nothing is replaced. Either all
 * of them come or none. Rejects with `usage.invalid` for tables that the backup does not hold, `data.corrupt` when rows are missing.
 */
export async function bringTables(
  options: PostgresqlOptions,
  { backup, of }: FoundBackup,
  { tables, database }: TablesRequest,
  signal: AbortSignal,
): Promise<TablesReport> {
  const { system, config } = options;
  const { socketDir, username, database: own = username } = config.postgresql;
  const begunMs = system.clock.monotonicMs();
  const carry = async (source: Source, target: string): Promise<TablesReport> => {
    const carried = await carryTables(options, { backup, source, target, tables }, signal);
    return { label: backup.label, database: target, ...carried, durationMs: Math.round(system.clock.monotonicMs() - begunMs) };
  };
  if (of.kind === 'physical') {
    const target = database ?? own;
    return onScratchCopy(options, { backup, of }, signal, (scratch) => carry({ socketDir: scratch.socketDir, database: target }, target));
  }
  return of.onScratchDatabase(backup, database, (scratch) => carry({ socketDir, database: scratch.name }, scratch.of), signal);
}

interface Carrying {
  readonly backup: Backup;
  readonly source: Source;
  readonly target: string;
  readonly tables: readonly string[];
}

async function carryTables(
  options: PostgresqlOptions,
  { backup, source, target, tables }: Carrying,
  signal: AbortSignal,
): Promise<Pick<TablesReport, 'besideSchema' | 'tables' | 'foreignKeysLeftOut' | 'suggestions'>> {
  const { config, system } = options;
  const there = await openSession(options, { socketDir: config.postgresql.socketDir, database: target }, signal);
  try {
    const [{ major } = { major: 0 }] = await there.query<{ major: number }>(
      "SELECT current_setting('server_version_num')::int / 10000 AS major",
    );
    return await inScratchFolder(options, signal, async ({ path, owner }) => {
      const tools = await findTools(Math.max(major, backup.pgVersion), { config, system, owner }, signal);
      const file = join(path, 'tables.dump');
      const gathered = await gather(options, source, { tables, schema: await freeSchema(there, system, signal) }, signal);
      await tools.run('pg_dump', ['--format=custom', '--no-publications', `--schema=${gathered.schema}`, `--file=${file}`], signal, source);
      system.log.info('tables.loading', `loading ${tables.join(', ')} of ${backup.label} beside what is there`, { label: backup.label });
      await load(there, gathered, async () => {
        const whole = ['--exit-on-error', '--single-transaction', '--no-password', `--dbname=${asConnectionString(target)}`, file];
        await tools.run('pg_restore', whole, signal);
      });
      return placeTables(there, gathered);
    });
  } finally {
    await there.end();
  }
}

/** A schema that the running server does not have yet. */
async function freeSchema(session: Connection, { clock }: PostgresqlOptions['system'], signal: AbortSignal): Promise<string> {
  for (;;) {
    const name = makeLabel('replaced', clock.now()).replace('replaced', 'restored');
    if ((await session.query('SELECT FROM pg_namespace WHERE nspname = $1', [name])).length === 0) return name;
    await clock.sleep(100, signal);
  }
}

async function gather(
  options: PostgresqlOptions,
  source: Source,
  request: { readonly tables: readonly string[]; readonly schema: string },
  signal: AbortSignal,
): Promise<GatheredTables> {
  const session = await openSession(options, source, signal);
  try {
    return await gatherTables(session, request);
  } finally {
    await session.end();
  }
}

/** One transaction of pg_restore's; counted afterwards, and dropped again when a row is missing. */
async function load(session: Connection, { schema, members }: GatheredTables, restore: () => Promise<void>): Promise<void> {
  await restore();
  for (const { name, rows } of members) {
    const table = `${session.escapeIdentifier(schema)}.${session.escapeIdentifier(name)}`;
    const [found] = await session.query<{ rows: string }>(`SELECT count(*) AS rows FROM ONLY ${table}`);
    if (Number(found!.rows) === rows) continue;
    await session.query(`DROP SCHEMA ${session.escapeIdentifier(schema)} CASCADE`);
    throw new DbkitError('data.corrupt', `${name} has ${found!.rows} rows instead of ${rows} after the restore`, {
      hint: 'what was loaded has been dropped again, nothing else was changed: try another backup of `dbkit backup list`',
    });
  }
}

const openSession = ({ config }: PostgresqlOptions, { socketDir, database }: Source, signal: AbortSignal): Promise<Connection> =>
  openAsSuperuser({ ...config.postgresql, socketDir, dataDir: undefined }, database, {}, signal);

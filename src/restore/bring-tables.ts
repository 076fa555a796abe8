import { join } from 'node:path';
import type { Backup, FoundBackup } from '../backups/backup.ts';
import { readTables } from '../backups/dump/data-file.ts';
import { withLoader } from '../backups/dump/loader.ts';
import { mightyAmong } from '../backups/dump/strange-owners.ts';
import { findTools } from '../backups/dump/tools.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { type Connection, sqlStateOf } from '../instance/connection.ts';
import { openAsSuperuser } from '../instance/sessions.ts';
import { DbkitError } from '../kernel/errors.ts';
import { makeLabel } from '../kernel/labels.ts';
import type { TablesReport, TablesRequest } from './copies-contract.ts';
import { type CutForeignKey, type GatheredTables, gatherTables } from './gather-tables.ts';
import { loadTables } from './load-tables.ts';
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
  { tables, database, point, isTrusted = false }: TablesRequest,
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
    await requireTools(options, backup, signal); // Making the copy takes minutes.
    return onScratchCopy(options, { backup, of, point }, signal, (scratch) =>
      carry({ socketDir: scratch.socketDir, database: target }, target),
    );
  }
  return of.onScratchDatabase(
    backup,
    { database, isTrusted },
    (scratch) => carry({ socketDir, database: scratch.name }, scratch.of),
    signal,
  );
}

/** Rejects with `program.missing` before anything is copied. */
async function requireTools({ config, system }: PostgresqlOptions, { pgVersion }: Backup, signal: AbortSignal): Promise<void> {
  await findTools(pgVersion, { config, system, owner: undefined }, signal).catch((cause: unknown) => {
    if (!(cause instanceof DbkitError) || cause.code !== 'program.missing') throw cause;
    throw new DbkitError('program.missing', cause.message, {
      hint: `install them (Debian: apt-get install postgresql-client-${pgVersion}); without --table the whole cluster comes back as it was, and what is there now is kept aside; nothing was changed`,
      cause,
    });
  });
}

interface Carrying {
  readonly backup: Backup;
  readonly source: Source;
  readonly target: string;
  readonly tables: readonly string[];
}

type Carried = Pick<TablesReport, 'besideSchema' | 'tables' | 'foreignKeysLeftOut' | 'suggestions' | 'missing'>;

async function carryTables(
  options: PostgresqlOptions,
  { backup, source, target, tables }: Carrying,
  signal: AbortSignal,
): Promise<Carried> {
  const { config, system } = options;
  const there = await openSession(options, { socketDir: config.postgresql.socketDir, database: target }, signal);
  try {
    const [{ major } = { major: 0 }] = await there.query<{ major: number }>(
      "SELECT current_setting('server_version_num')::int / 10000 AS major",
    );
    return await inScratchFolder(options, signal, async ({ path, owner }) => {
      const needs = { config, system, owner };
      const tools = await findTools(Math.max(major, backup.pgVersion), needs, signal);
      const archive = join(path, 'tables');
      const gathered = await gather(options, source, { tables, schema: await freeSchema(there, system, signal) }, signal);
      const dump = ['--format=directory', '--compress=1', '--no-publications', `--schema=${gathered.schema}`, `--file=${archive}`];
      await tools.run('pg_dump', dump, signal, source);
      const rows = await readTables(archive, tools, signal);
      const members = gathered.members.map((member) => ({ ...member, rows: rows.get(member.oid)?.rows ?? 0 }));
      system.log.info('tables.loading', `loading ${tables.join(', ')} of ${backup.label} beside what is there`, { label: backup.label });
      const owned = await ownerOf(there, gathered);
      return withLoader(
        needs,
        owned.isSuperuser ? [] : [owned.owner],
        async (loader) => {
          const loading = { archive, tools, loader, target, owner: owned.owner };
          const missing = await loadTables(needs, there, { ...gathered, members }, loading, signal);
          const own = owned.isSuperuser ? undefined : await loader.session(target);
          try {
            return {
              ...(await placeTables(there, { ...gathered, members, owner: owned.owner }, (key) => holds(there, own, key))),
              missing,
            };
          } finally {
            await own?.end();
          }
        },
        signal,
      );
    });
  } finally {
    await there.end();
  }
}

/** The role that the tables are for. Rejects with `usage.invalid` where they are several roles': what one writes must not run with another's rights. */
async function ownerOf(session: Connection, { members }: GatheredTables): Promise<{ owner: string; isSuperuser: boolean }> {
  const owners = [...new Set(members.map(({ owner }) => owner))];
  if (owners.length > 1)
    throw new DbkitError('usage.invalid', `these tables belong to different roles: ${owners.join(', ')}`, {
      hint: 'restore them one at a time; nothing was changed',
    });
  const [found] = await session.query<{ owner: string; isSuperuser: boolean }>(
    `SELECT rolname AS owner, rolsuper AS "isSuperuser" FROM pg_roles
      WHERE rolname = $1 OR oid = (SELECT datdba FROM pg_database WHERE datname = current_database()) ORDER BY rolname = $1 DESC LIMIT 1`,
    [owners[0]],
  );
  const { owner } = found!;
  if (owner !== owners[0] && (await mightyAmong(session, [owner])).has(owner))
    throw new DbkitError(
      'recovery.refused',
      `these tables belong to ${owners[0]}, a role that is not there, and the database to ${owner}`,
      {
        hint: `create the role first, as what is in the tables must not run with the rights of ${owner}: CREATE ROLE ${session.escapeIdentifier(owners[0]!)}; nothing was changed`,
      },
    );
  return found!;
}

/** Reading the other table, the server runs the functions in its indexes with the rights of whoever adds the key (plancat.c): a superuser's own only. */
async function mayRefer(session: Connection, { refersTo: { schema, name } }: CutForeignKey): Promise<boolean> {
  const found = await session.query(
    `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
      WHERE n.nspname = $1 AND c.relname = $2 AND r.rolsuper`,
    [schema, name],
  );
  return found.length > 0;
}

/** An object that it refers to may have changed since the backup: then the table is worth more without it. */
async function holds(there: Connection, own: Connection | undefined, key: CutForeignKey): Promise<boolean> {
  if (own === undefined && !(await mayRefer(there, key))) return false;
  return (own ?? there).query(key.sql).then(
    () => true,
    (cause: unknown) => {
      if (sqlStateOf(cause) === undefined) throw cause;
      return false;
    },
  );
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

const openSession = ({ config }: PostgresqlOptions, { socketDir, database }: Source, signal: AbortSignal): Promise<Connection> =>
  openAsSuperuser({ ...config.postgresql, socketDir, dataDir: undefined }, database, {}, signal);

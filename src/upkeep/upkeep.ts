import type { PostgresqlOptions } from '../boot/hold.ts';
import { type Connection, sqlStateOf } from '../instance/connection.ts';
import { openAsSuperuser, openForServer } from '../instance/sessions.ts';
import { DbkitError, isAbort, wordsOf } from '../kernel/errors.ts';
import { amcheck } from './amcheck.ts';
import type { ChoreStep, ChoreWish, Upkeep } from './contract.ts';
import { factsOf } from './facts.ts';
import { dropLeftover, type Need, needsOf, statementFor } from './needs.ts';
import { withProgress } from './progress.ts';
import { pruneLogs } from './prune-logs.ts';

/** lock_not_available, deadlock_detected, feature_not_supported (an exclusion constraint cannot be rebuilt concurrently), undefined_table. */
const skippable = new Map([
  ['55P03', 'somebody held a lock on it, or an old transaction, for too long; try again when it is quieter'],
  ['40P01', 'it and somebody else waited for each other; try again when it is quieter'],
  ['0A000', 'PostgreSQL cannot do that without locking everybody out'],
  ['42P01', 'it was dropped meanwhile'],
]);

/** By the class of the SQLSTATE: rows, constraints and functions of the user's (22, 23, 42, P0) are about this object alone, and not about the server. */
const ofTheObject = /^(22|23|42|P0)/;

/** The sessions that chores work with, and their patience. */
interface Means {
  readonly postgresql: PostgresqlOptions['config']['postgresql'];
  readonly maintenance: PostgresqlOptions['config']['maintenance'];
  readonly system: PostgresqlOptions['system'];
  readonly limits: { readonly lockTimeoutMs: number };
  enter(database: string, signal: AbortSignal): Promise<Connection>;
}

/** Vacuum, analyze, reindex and checkpoint on a server that people are using. */
export function createUpkeep(options: PostgresqlOptions): Upkeep {
  const { config, system } = options;
  const { postgresql, maintenance } = config;
  const limits = { lockTimeoutMs: maintenance.lockTimeoutSeconds * 1000 };
  const enter = (database: string, signal: AbortSignal): Promise<Connection> => openAsSuperuser(postgresql, database, limits, signal);
  const means: Means = { postgresql, maintenance, system, limits, enter };
  return {
    needs: async (database, signal) => (await inEach(means, database, signal, needsIn)).sort((a, b) => b.benefitBytes - a.benefitBytes),
    run: (wish, signal) => {
      const database = wish.tables.length > 0 ? (wish.database ?? postgresql.database ?? postgresql.username) : wish.database;
      return inEach(means, database, signal, (session, name) => runIn(means, session, name, wish, signal));
    },
    checkpoint: (signal) => checkpoint(means, signal),
    pruneLogs: (wish) => pruneLogs(config, system, wish),
    amcheck: (signal) => amcheck(options, signal),
  };
}

const patience = (session: Connection, seconds: number) => session.query(`SET lock_timeout = ${Math.round(seconds * 1000)}`);

async function needsIn(session: Connection, name: string): Promise<Need[]> {
  const { tables, indexes } = await factsOf(session, name);
  return [...needsOf(tables, indexes)];
}

async function runIn(means: Means, session: Connection, name: string, wish: ChoreWish, signal: AbortSignal): Promise<ChoreStep[]> {
  const wanted = await wantedIn(session, name, wish);
  const steps: ChoreStep[] = [];
  await session.query('SET vacuum_cost_delay = 2'); // Autovacuum's own pace: others come first.
  for (const need of wanted)
    steps.push(
      wish.dryRun ? { ...need, outcome: 'planned', why: null, freedBytes: 0, durationMs: 0 } : await carryOut(means, session, need, signal),
    );
  return steps;
}

async function checkpoint({ postgresql, limits, system }: Means, signal: AbortSignal): ReturnType<Upkeep['checkpoint']> {
  const session = await openForServer(postgresql, limits, signal);
  const lsn = async (): Promise<string> =>
    (await session.query<{ lsn: string }>('SELECT redo_lsn::text AS lsn FROM pg_control_checkpoint()'))[0]!.lsn;
  try {
    const from = await lsn();
    const begunMs = system.clock.monotonicMs();
    await session.query('CHECKPOINT');
    const durationMs = Math.round(system.clock.monotonicMs() - begunMs);
    const [row] = await session.query<{ size: number }>('SELECT ($1::pg_lsn - $2::pg_lsn)::float8 AS size', [await lsn(), from]);
    return { durationMs, walBytes: row!.size };
  } finally {
    await session.end();
  }
}

async function databases({ postgresql, limits }: Means, only: string | undefined, signal: AbortSignal): Promise<string[]> {
  const session = await openForServer(postgresql, limits, signal);
  try {
    const rows = await session.query<{ name: string }>(
      'SELECT datname AS name FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND NOT datistemplate ORDER BY datname',
    );
    const names = rows.map(({ name }) => name);
    if (only === undefined) return names;
    if (names.includes(only)) return [only];
    throw new DbkitError('usage.invalid', `there is no database '${only}'`, { hint: `there are: ${names.join(', ')}` });
  } finally {
    await session.end();
  }
}

/**
 * With a session in each database, one after the other: maintenance may take its time, and leaves connections to others. One that cannot be
 * asked (its names are in no encoding, it was dropped meanwhile, a library of its own is missing) is told, and keeps nothing from the others. A server
 * that does not answer, or ends its sessions, is no such database: then it rejects.
 */
async function inEach<T>(
  means: Means,
  only: string | undefined,
  signal: AbortSignal,
  work: (session: Connection, name: string) => Promise<T[]>,
): Promise<T[]> {
  const done: T[] = [];
  const failures: unknown[] = [];
  const names = await databases(means, only, signal);
  for (const name of names) {
    try {
      const session = await means.enter(name, signal);
      done.push(...(await work(session, name).finally(() => session.end())));
    } catch (cause) {
      signal.throwIfAborted();
      if (names.length === 1 || isAbort(cause) || isOfTheServer(cause)) throw cause;
      failures.push(cause);
      means.system.log.warn('maintenance.passed-over', `${name} is passed over: ${wordsOf(cause)}`, { database: name });
    }
  }
  if (names.length > 0 && failures.length === names.length) throw failures[0];
  return done;
}

function isOfTheServer(cause: unknown): boolean {
  const sqlState = sqlStateOf(cause);
  return sqlState === undefined || /^(08|53|57)/.test(sqlState); // connection_exception, insufficient_resources, operator_intervention.
}

/** The lock that others queue behind must be free at once; older transactions, which nobody queues behind, may take longer. */
async function readyToRebuild(session: Connection, target: string, waitSeconds: number): Promise<void> {
  const [row] = await session.query<{ name: string }>(
    `SELECT coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass($1)), to_regclass($1))::regclass::text AS name`,
    [target],
  );
  await session.tuples(`BEGIN; LOCK TABLE ${row!.name} IN SHARE UPDATE EXCLUSIVE MODE; COMMIT`).catch(async (cause: unknown) => {
    await session.query('ROLLBACK');
    throw cause;
  });
  await patience(session, waitSeconds);
}

async function carryOut({ system, maintenance, enter }: Means, session: Connection, need: Need, signal: AbortSignal): Promise<ChoreStep> {
  const begunMs = system.clock.monotonicMs();
  const watcher = await enter(need.database, signal);
  const ended = (outcome: ChoreStep['outcome'], why: string | null, freedBytes: number): ChoreStep => ({
    ...need,
    outcome,
    why,
    freedBytes,
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  });
  const size = async (): Promise<number> => {
    const [row] = await watcher.query<{ size: number | null }>('SELECT pg_total_relation_size(to_regclass($1))::float8 AS size', [
      need.target,
    ]);
    return row?.size ?? 0;
  };
  try {
    const before = await size();
    const [self] = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    if (need.chore === 'reindex') await readyToRebuild(session, need.target, maintenance.rebuildWaitSeconds);
    system.log.info('maintenance.begun', `${need.statement} in ${need.database}`);
    await withProgress(watcher, { ...need, pid: self!.pid }, system, session.query(need.statement));
    return ended('done', null, Math.max(0, before - (await size().catch(() => before))));
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    const sqlState = sqlStateOf(cause) ?? '';
    const why = skippable.get(sqlState) ?? (ofTheObject.test(sqlState) ? wordsOf(cause) : undefined);
    if (need.chore === 'reindex') await clearLeftovers(watcher, need.target);
    if (why === undefined) throw cause;
    system.log.warn('maintenance.skipped', `${need.target}: ${why}`, { said: wordsOf(cause) });
    return ended('skipped', why, 0);
  } finally {
    if (need.chore === 'reindex') await patience(session, maintenance.lockTimeoutSeconds).catch(() => undefined);
    await watcher.end();
  }
}

async function wantedIn(session: Connection, database: string, { chore, tables, all }: ChoreWish): Promise<readonly Need[]> {
  if (tables.length === 0 && !all) return (await needsIn(session, database)).filter((need) => need.chore === chore);
  const facts = await factsOf(session, database);
  const named = new Set<string>();
  for (const table of tables) {
    const [row] = await session.query<{ name: string }>(NAMED, [table]);
    if (!row?.name)
      throw new DbkitError('usage.invalid', `there is no table '${table}' in ${database}`, { hint: '--database names another database' });
    named.add(row.name);
  }
  return facts.tables
    .filter(({ name }) => all || named.has(name))
    .sort((a, b) => a.sizeBytes - b.sizeBytes)
    .map(({ name: target, sizeBytes }) => ({
      ...{ chore, database, target, sizeBytes, benefitBytes: 0, reason: 'asked-for' as const, because: 'asked for' },
      statement: statementFor(chore, target, 'table'),
    }));
}

/** A table by its name as people write it; without a schema it is one of `public` before one of any other. */
const NAMED = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN parse_ident($1) AS part
   WHERE c.relkind IN ('r', 'm') AND c.relname = part[cardinality(part)]
     AND CASE cardinality(part) WHEN 1 THEN n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' WHEN 2 THEN n.nspname = part[1] ELSE false END
   ORDER BY n.nspname = 'public' DESC, n.nspname LIMIT 1`;

/** A concurrent rebuild that fails leaves an invalid index beside the old one, which every change would write to (REINDEX, "Rebuilding Indexes Concurrently"). */
async function clearLeftovers(watcher: Connection, target: string): Promise<void> {
  const rows = await watcher.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE NOT i.indisvalid AND c.relname ~ '_ccnew\\d*$'
        AND i.indrelid IN (to_regclass($1), (SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass($1)),
                           (SELECT nullif(reltoastrelid, 0) FROM pg_class WHERE oid = to_regclass($1)))`,
    [target],
  );
  for (const { name } of rows) await watcher.query(dropLeftover(name)).catch(() => undefined); // What is still locked is listed by the next look.
}

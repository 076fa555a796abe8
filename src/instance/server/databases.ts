import { DbkitError, isAbort } from '../../kernel/errors.ts';
import { detailOf, sqlStateOf } from '../connection.ts';
import type { Local } from '../local.ts';
import { type Harm, type Trouble, troubleOf } from '../session-trouble.ts';
import { databasesForServer } from '../sessions.ts';
import { type Crashing, isCutOff, isRecovered, serverNow } from './crash.ts';
import { type LostRelation, lostFiles } from './lost-files.ts';
import { inWatchedSession, UnaskedDatabase } from './watched-session.ts';

/** A database that did not answer, in the server's words. */
export interface Silence extends Trouble {
  readonly database: string;
  /** 'base/16384'; undefined while not even the list of databases can be read. */
  readonly path: string | undefined;
  /** Which row of session-trouble.ts it is. */
  readonly id: string;
}

/** Asks the catalogs every database needs for a session: a table, an index scan and a join, cheap even with 20,000 relations. */
const CATALOG_QUESTION = `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam WHERE c.oid < 16384`;
const DATABASES = `SELECT datname AS name, 'base/' || oid AS path, datconnlimit = -2 AS invalid FROM pg_database WHERE datallowconn`;

/** The first session of a database builds its relation cache, which keeps a processor busy for some ten milliseconds. */
const AT_ONCE = 4;
/** No question may wait for a lock of the user's. */
const LOCK_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUTS_MS = [5_000, 15_000] as const;
const PATIENCE_MS = 20_000;
const FIRST_PAUSE_MS = 100;

export interface DatabaseCheck {
  /** How many answered. */
  readonly databases: number;
  /** PostgreSQL itself calls these damaged. */
  readonly silent: readonly Silence[];
  /** These take no sessions: somebody closed them, or a DROP DATABASE was cut off. They are named, and nothing follows from it. */
  readonly closed: readonly Silence[];
  /** Nothing is known of these: they may be asked again. */
  readonly unknown: readonly Silence[];
  readonly lost: readonly LostRelation[];
}

export interface DatabaseQuestions {
  readonly socketDir?: string | undefined;
  /** Files that were gone before crash recovery and are there again. */
  readonly madeAnew?: readonly string[];
  /** How long to ask again what may pass, in milliseconds. */
  readonly patienceMs?: number;
}

/** One check, while it goes on. */
interface Check extends DatabaseQuestions {
  readonly patienceMs: number;
  deadlineMs: number;
}

interface Database {
  readonly name: string;
  readonly path: string | undefined;
  readonly invalid?: boolean;
}

type Answer =
  | { readonly listed: readonly Database[]; readonly lost: readonly LostRelation[] }
  | { readonly silence: Silence; readonly passes: boolean };

/**
 * "Accepting connections" is not the end: every database is asked for a session and an answer from its catalogs. Whoever does not answer is asked
 * again for a while; what is silent then is unknown, never damaged. Rejects only for what is dbkit's own fault.
 */
export async function checkDatabases(local: Local, questions: DatabaseQuestions, signal: AbortSignal): Promise<DatabaseCheck> {
  const { clock } = local.system;
  const patienceMs = questions.patienceMs ?? PATIENCE_MS;
  const check: Check = { ...questions, patienceMs, deadlineMs: clock.monotonicMs() + patienceMs };
  const first = await listDatabases(local, check, signal);
  if ('troubles' in first) return sorted(0, [], first.troubles);
  const lost = [...first.lost];
  const troubles: Silence[] = first.databases.filter(({ invalid }) => invalid).map(invalidDatabase);
  let answered = 1;
  let left = first.databases.filter(({ name, invalid }) => name !== first.asked && !invalid);
  for (let round = 0, pauseMs = FIRST_PAUSE_MS; left.length > 0; round += 1, pauseMs *= 2) {
    const again: Database[] = [];
    const begunMs = clock.monotonicMs();
    for (const some of groupsOf(left, local)) {
      const answers = await Promise.all(some.map((database) => ask(local, database, check, round, signal)));
      for (const [index, answer] of answers.entries())
        if ('lost' in answer) {
          answered += 1;
          lost.push(...answer.lost);
        } else if (answer.passes && begunMs + pauseMs <= check.deadlineMs) again.push(some[index]!);
        else troubles.push(answer.silence);
    }
    left = again;
    if (left.length > 0) await clock.sleep(pauseMs, signal);
  }
  return sorted(answered, lost, troubles);
}

/** Some at once, and those alone on which the server has hung up before. */
function groupsOf(databases: readonly Database[], { hungUp = new Set() }: Local): readonly (readonly Database[])[] {
  const others = databases.filter(({ name }) => !hungUp.has(name));
  const groups = databases.filter(({ name }) => hungUp.has(name)).map((database) => [database]);
  for (let from = 0; from < others.length; from += AT_ONCE) groups.push(others.slice(from, from + AT_ONCE));
  return groups;
}

/** One that is not in the list was dropped by its owner meanwhile; `postgres` need not be there. */
async function listDatabases(
  local: Local,
  check: Check,
  signal: AbortSignal,
): Promise<
  | { readonly asked: string; readonly databases: readonly Database[]; readonly lost: readonly LostRelation[] }
  | { readonly troubles: readonly Silence[] }
> {
  const { clock } = local.system;
  for (let round = 0, pauseMs = FIRST_PAUSE_MS; ; round += 1, pauseMs *= 2) {
    const failed: Extract<Answer, { silence: Silence }>[] = [];
    for (const name of databasesForServer(local.settings)) {
      const answer = await ask(local, { name, path: undefined }, check, round, signal);
      if ('lost' in answer) {
        // Another one that was tried first is in the list, and gets its place in the data directory, unless it is gone.
        return { asked: name, databases: answer.listed, lost: answer.lost };
      }
      failed.push(answer);
    }
    if (!failed.some(({ passes }) => passes) || clock.monotonicMs() + pauseMs > check.deadlineMs)
      return { troubles: failed.map(({ silence }) => silence) };
    await clock.sleep(pauseMs, signal);
  }
}

async function ask(local: Local, { name, path }: Database, check: Check, round: number, signal: AbortSignal): Promise<Answer> {
  const { socketDir, madeAnew = [], patienceMs } = check;
  const { clock } = local.system;
  const isAgain = local.hungUp?.has(name) ?? false;
  const alone = isAgain ? await serverNow(local, socketDir) : undefined;
  const limits = { connectTimeoutMs: CONNECT_TIMEOUTS_MS[round] ?? CONNECT_TIMEOUTS_MS.at(-1)!, lockTimeoutMs: LOCK_TIMEOUT_MS };
  try {
    return await inWatchedSession(
      local,
      { database: name, socketDir, limits },
      async (session) => {
        await session.query(CATALOG_QUESTION);
        const lost = await lostFiles(session, name, madeAnew);
        return { lost, listed: path === undefined ? await session.query<Database>(DATABASES) : [] };
      },
      signal,
    );
  } catch (cause) {
    if (isAbort(cause) || !(cause instanceof DbkitError)) throw cause; // dbkit's own fault is never the database's.
    const harm = cause instanceof UnaskedDatabase ? cause.harm : await harmOf(local, { name, cause, alone }, signal);
    // The server recovers from that first.
    if (harm || (local.hungUp && isCutOff(cause) && !isAgain)) check.deadlineMs = clock.monotonicMs() + (harm ? patienceMs : PATIENCE_MS);
    const trouble = harm ? harmful[harm] : { sqlState: sqlStateOf(cause), words: detailOf(cause) };
    return { silence: silenceOf({ name, path }, trouble), passes: troubleOf(trouble).passes ?? false };
  }
}

const harmful: Readonly<Record<Harm, Trouble>> = {
  endless: { sqlState: undefined, words: 'killed, and not asked again', harm: 'endless' },
  crash: { sqlState: undefined, words: 'the server hung up and recovered, twice; not asked again', harm: 'crash' },
};

/** A crash ends every session, so the first time it may have been another's. One that was alone, on a server that recovered then, was it. */
async function harmOf(
  local: Local,
  { name, cause, alone }: { readonly name: string; readonly cause: unknown; readonly alone: Crashing | undefined },
  signal: AbortSignal,
): Promise<Harm | undefined> {
  if (!isCutOff(cause)) return undefined;
  local.hungUp?.add(name);
  if (!alone || !(await isRecovered(alone, local.system.clock, signal))) return undefined;
  local.unasked?.set(name, 'crash');
  local.system.log.warn('session.crashes', `a question to ${name} crashed the server, twice; it has recovered by itself`);
  return 'crash';
}

const silenceOf = ({ name, path }: Database, trouble: Trouble): Silence => ({
  database: name,
  path,
  id: troubleOf(trouble).id,
  ...trouble,
});

/** "invalid_database": what a DROP DATABASE that was cut off leaves behind (pg_database.datconnlimit = -2, since 2023). */
const invalidDatabase = ({ name, path }: Database): Silence => ({
  ...{ database: name, path, id: 'closed-database', sqlState: '55000' },
  words: `a DROP DATABASE of ${name} was cut off: it holds nothing that can be read, DROP DATABASE removes the rest`,
});

function sorted(databases: number, lost: readonly LostRelation[], troubles: readonly Silence[]): DatabaseCheck {
  const are = (standing: string): Silence[] => troubles.filter((trouble) => troubleOf(trouble).then === standing);
  return { databases, lost, silent: are('damage'), closed: are('closed'), unknown: are('unknown') };
}

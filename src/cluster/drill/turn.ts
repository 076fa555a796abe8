import type { Connection } from '../../instance/connection.ts';
import { within } from '../../kernel/deadline.ts';
import type { Clock } from '../../kernel/machine.ts';
import { type Endpoint, openAt, type WriterLogin } from './writers.ts';

/** The turn of one drill on a cluster, wherever it is typed. */
export interface Turn {
  release(): Promise<void>;
}

/** 'dbkt' and 'dril' in ASCII; of the database `postgres`, as every advisory lock is of one. */
const KEYS = [0x64626b74, 0x6472696c] as const;
const TAKE = `select pg_catalog.pg_try_advisory_lock(${KEYS.join(', ')}) as taken`;
/** For a `where`: true while some session has it. Both keys are in pg_locks, and 2 says that there are two of them (lock.h, SET_LOCKTAG_ADVISORY). */
export const IS_TAKEN = `exists (select from pg_catalog.pg_locks where locktype = 'advisory' and granted and objsubid = 2
    and classid = ${KEYS[0]} and objid = ${KEYS[1]}
    and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))`;
/** A machine that vanished keeps no turn: whoever has it asks twice in a second. PostgreSQL 13 does not know it, and waits for TCP. */
const UNTIL_SILENT = `select pg_catalog.set_config(name, '60s', false) from pg_catalog.pg_settings where name = 'idle_session_timeout'`;
const LIMIT_MS = 3_000;
const EVERY_MS = 500;

interface Taking {
  readonly endpoint: Endpoint;
  readonly login: WriterLogin;
  readonly clock: Clock;
}

/** null: another drill has it. It is a lock of a session on the leader, and is taken again on the next one: a drill loses its leader. */
export async function takeTurn(taking: Taking, signal: AbortSignal): Promise<Turn | null> {
  const over = new AbortController();
  const first = await take(taking, signal, over.signal).catch((cause: unknown) => {
    over.abort(); // A session that begins late has no turn.
    throw cause;
  });
  if (first === null) return null;
  const kept = keep(taking, first, over.signal);
  return {
    release: async () => {
      over.abort(); // Cuts the session, and the server lets go.
      await kept;
    },
  };
}

async function take({ endpoint, login }: Taking, signal: AbortSignal, life: AbortSignal): Promise<Connection | null> {
  return within([signal], LIMIT_MS, async () => {
    const session = await openAt(endpoint, login, life);
    const [row] = await session.query<{ taken: boolean }>(TAKE);
    if (row!.taken) {
      await session.query(UNTIL_SILENT);
      return session;
    }
    await session.end();
    return null;
  });
}

async function keep(taking: Taking, first: Connection, life: AbortSignal): Promise<void> {
  let session: Connection | null = first;
  while (!life.aborted) {
    try {
      await taking.clock.sleep(EVERY_MS, life);
      const held: Connection | null = session;
      if (held === null) session = await take(taking, life, life);
      else await within([life], LIMIT_MS, () => held.query('select'));
    } catch {
      void session?.end(); // Nobody leads, or another server: asked again soon.
      session = null;
    }
  }
}

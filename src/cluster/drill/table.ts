import type { Connection } from '../../instance/connection.ts';
import { bound } from '../../kernel/deadline.ts';
import { IS_TAKEN } from './turn.ts';
import { type Endpoint, openAt, SCHEMA, TABLE, type WriterLogin } from './writers.ts';

/** On the schema, so that the next drill knows it for what one that was killed has left. */
export const MARK = 'made by dbkit ha drill, which removes it at its end';

/** The state of that schema: none, left by a drill that is over, in use by one that runs, or somebody else's. */
export type SchemaState = 'none' | 'left' | 'busy' | 'foreign';

/** Where the rows would go, as the leader has it. */
export interface Ground {
  readonly schema: SchemaState;
  /** A publication of the database `postgres` is FOR ALL TABLES. */
  readonly isPublished: boolean;
}

const LIMIT_MS = 20_000;
/** A drill that runs has its turn, and writes many times in a second. */
const GROUND = `select pg_catalog.obj_description(there.oid, 'pg_namespace') as mark, there.oid is not null as there, ${IS_TAKEN} as taken, exists (
    select from pg_catalog.pg_stat_activity
    where pid <> pg_catalog.pg_backend_pid() and position('insert into ${TABLE}' in query) > 0
      and state_change > pg_catalog.now() - interval '2 seconds') as written,
    exists (select from pg_catalog.pg_publication where puballtables) as published
  from (select) as one left join (select oid from pg_catalog.pg_namespace where nspname = '${SCHEMA}') as there on true`;

interface GroundRow {
  readonly mark: string | null;
  readonly there: boolean;
  readonly taken: boolean;
  readonly written: boolean;
  readonly published: boolean;
}

/** Asks the leader, where this address leads to it. Changes nothing. */
export async function groundAt(endpoint: Endpoint, login: WriterLogin, signal: AbortSignal): Promise<Ground> {
  return inSession(endpoint, login, signal, async (session) => {
    const [row] = await session.query<GroundRow>(GROUND);
    return { schema: stateOf(row!), isPublished: row!.published };
  });
}

function stateOf({ mark, there, taken, written }: GroundRow): SchemaState {
  if (taken) return 'busy';
  if (!there) return 'none';
  return mark !== MARK ? 'foreign' : written ? 'busy' : 'left';
}

/** Empty, also where a drill that was killed has left one. */
export async function makeTable(endpoint: Endpoint, login: WriterLogin, signal: AbortSignal): Promise<void> {
  await removeTable(endpoint, login, signal);
  await inSession(endpoint, login, signal, async (session) => {
    await session.tuples(
      `create schema ${SCHEMA}; comment on schema ${SCHEMA} is '${MARK}';
       create table ${TABLE} (writer int, row bigint, primary key (writer, row))`,
    );
  });
}

/** The table and the schema, and nothing that somebody else has put into it: then it rejects. */
export async function removeTable(endpoint: Endpoint, login: WriterLogin, signal: AbortSignal): Promise<void> {
  await inSession(endpoint, login, signal, async (session) => {
    await session.tuples(`drop table if exists ${TABLE}; drop schema if exists ${SCHEMA}`);
  });
}

async function inSession<T>(
  endpoint: Endpoint,
  login: WriterLogin,
  signal: AbortSignal,
  work: (session: Connection) => Promise<T>,
): Promise<T> {
  const limit = bound([signal], LIMIT_MS);
  try {
    const session = await openAt(endpoint, login, limit.signal);
    try {
      return await work(session);
    } finally {
      void session.end();
    }
  } finally {
    limit.release();
  }
}

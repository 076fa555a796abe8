import type { Config } from '../../config/config.ts';
import type { Connection } from '../../instance/connection.ts';
import { openAsRole, openAsSuperuser, type SessionLimits, wayTo } from '../../instance/sessions.ts';
import type { Clock } from '../../kernel/machine.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import { createTurns } from './turns.ts';

/** A session, or why there is none. */
export type Attempt =
  | { readonly session: Connection; readonly connectMs: number; readonly refusal?: undefined }
  | { readonly session?: undefined; readonly refusal: Refusal };

/** The role that asks the statistics, and what the server lets him see. */
export interface Watch {
  readonly session: Connection;
  readonly version: string;
  readonly standby: boolean;
  /** Other roles' sessions are visible: a superuser, or a member of pg_read_all_stats. */
  readonly seesAll: boolean;
  /** The superuser asks in another database, in a session of its own that ends with the answer; undefined where there is none. */
  readonly inDatabase: <Row>(database: string, sql: string) => Promise<readonly Row[] | undefined>;
}

/** The few sessions that all probes of one check share: opened when first asked for, closed when the last probe is done. */
export interface Sessions {
  /** The superuser over the socket. */
  superuser(): Promise<Attempt>;
  /** The application's role with its password over TCP, with TLS where that is wanted; undefined when the server does not listen there. Not asked while nobody of the server's is at its socket. */
  application(): Promise<Attempt | undefined>;
  /** Where a client on this machine finds the server; undefined when it does not listen on TCP. */
  tcpHost(): Promise<string | undefined>;
  /** The superuser; where he is not let in, the application's role. Undefined when neither gets an answer. */
  watch(): Promise<Watch | undefined>;
  /** The superuser once more, who writes as others do, for what may wait for a long time and must not stand in the way of the others. */
  writer(): Promise<Attempt>;
}

export interface SharedSessions {
  /** Runs `look` with the sessions of the check that is under way; rejects when `signal` fires, without waiting for the server. */
  during<T>(signal: AbortSignal, look: (sessions: Sessions) => Promise<T>): Promise<T>;
}

/** Probes of one check begin together, so the sessions live from the first look to the end of the last one. */
export function createSessions(config: Config, clock: Clock): SharedSessions {
  let looking = 0;
  let current: (Sessions & { close(): void }) | undefined;
  return {
    async during(signal, look) {
      looking += 1;
      current ??= openSessions(config, clock);
      let abort = (): void => undefined;
      const aborted = new Promise<never>((_resolve, reject) => {
        abort = () => reject(signal.reason);
        signal.addEventListener('abort', abort, { once: true });
      });
      try {
        signal.throwIfAborted();
        return await Promise.race([look(current), aborted]);
      } finally {
        signal.removeEventListener('abort', abort);
        looking -= 1;
        if (looking === 0) {
          current?.close();
          current = undefined;
        }
      }
    },
  };
}

/** A server that was full for a moment, perhaps of sessions of dbkit's own, is not full: only one that stays so. */
const FULL_MS = 2_000;
const FULL_EVERY_MS = 200;

const WHO = `
  SELECT set_config('statement_timeout', $1, false), current_setting('server_version') AS version, pg_is_in_recovery() AS standby,
         pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all`;

const LISTENS = "SELECT pg_catalog.current_setting('listen_addresses') AS listen";

function openSessions(config: Config, clock: Clock): Sessions & { close(): void } {
  const { socketDir, username, password, database = username, listenAddresses, connectionOnly } = config.postgresql;
  const timeoutMs = config.health.timeoutSeconds * 1000;
  const ending = new AbortController();
  const opened: Connection[] = [];
  const limits = { connectTimeoutMs: timeoutMs, statementTimeoutMs: timeoutMs, lockTimeoutMs: timeoutMs };
  const attemptOnce = async (enter: () => Promise<Connection>): Promise<Attempt> => {
    const begunMs = clock.monotonicMs();
    try {
      const session = inTurns(await enter());
      opened.push(session);
      return { session, connectMs: clock.monotonicMs() - begunMs };
    } catch (cause) {
      return { refusal: refusalOf(cause) };
    }
  };
  const attempt = async (enter: () => Promise<Connection>): Promise<Attempt> => {
    const givenUpMs = clock.monotonicMs() + FULL_MS;
    for (;;) {
      const tried = await attemptOnce(enter);
      if (tried.refusal?.kind !== 'full' || clock.monotonicMs() > givenUpMs) return tried;
      await clock.sleep(FULL_EVERY_MS, ending.signal).catch(() => undefined);
      if (ending.signal.aborted) return tried;
    }
  };
  const asSuperuser = async (more: SessionLimits = {}): Promise<Attempt> => {
    const enter = (name: string) => attempt(() => openAsSuperuser(config.postgresql, name, { ...limits, ...more }, ending.signal));
    const first = await enter('postgres');
    return first.refusal?.kind === 'no-database' ? enter(database) : first;
  };
  const inDatabase: Watch['inDatabase'] = (name, sql) =>
    askOnce(() => attemptOnce(() => openAsSuperuser(config.postgresql, name, limits, ending.signal)), sql);
  const sessions = {
    tcpHost: once(async (): Promise<string | undefined> => {
      if (connectionOnly) return socketDir;
      const [row] = (await (await sessions.superuser()).session?.query<{ listen: string }>(LISTENS).catch(() => undefined)) ?? []; // What it was started with may differ.
      return tcpHost(row?.listen ?? listenAddresses);
    }),
    superuser: once(() => asSuperuser()),
    writer: once(() => asSuperuser({ readOnlyDefault: 'kept' })),
    application: once(async (): Promise<Attempt | undefined> => {
      const { refusal } = await sessions.superuser();
      if (refusal?.kind === 'silent' || refusal?.kind === 'foreign') return { refusal }; // Its port is free for anybody then, who would be told the password.
      const host = await sessions.tcpHost();
      if (host === undefined) return undefined;
      const target = { ...wayTo(config.postgresql), socketDir: host, user: username, database, password: password.reveal() };
      const enter = () => attempt(() => openAsRole(target, limits, ending.signal));
      const first = await enter();
      const isBusy = first.refusal?.kind === 'hung' && (await sessions.superuser()).session !== undefined; // Else the server itself is hung.
      return isBusy ? enter() : first;
    }),
    watch: once(async (): Promise<Watch | undefined> => {
      const first = await sessions.superuser();
      const session = first.session ?? (first.refusal.kind === 'not-let-in' ? (await sessions.application())?.session : undefined);
      const [row] = (await session?.query<{ version: string; standby: boolean; sees_all: boolean }>(WHO, [String(timeoutMs)])) ?? [];
      return session && row && { session, version: row.version, standby: row.standby, seesAll: row.sees_all, inDatabase };
    }),
    close(): void {
      for (const session of opened) void session.end();
      ending.abort();
    },
  };
  return sessions;
}

/** One question in a session of its own. */
async function askOnce<Row>(enter: () => Promise<Attempt>, sql: string): Promise<readonly Row[] | undefined> {
  const { session } = await enter();
  try {
    return await session?.query<Row & object>(sql);
  } catch {
    return undefined; // Its file is damaged, or it was dropped meanwhile: other probes tell that.
  } finally {
    await session?.end();
  }
}

/** Where a client on this machine finds the server: the first of listen_addresses that is an address, not a wildcard. */
export function tcpHost(listenAddresses: string): string | undefined {
  const first = listenAddresses.split(',')[0]!.trim();
  if (first === '') return undefined;
  return { '*': 'localhost', '0.0.0.0': '127.0.0.1', '::': '::1' }[first] ?? first;
}

/** Many probes share one session, and a session answers one question at a time. */
function inTurns(session: Connection): Connection {
  const turns = createTurns();
  return {
    ...session,
    query: (sql, params) => turns(() => session.query(sql, params)),
    tuples: (sql) => turns(() => session.tuples(sql)),
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

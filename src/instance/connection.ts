import type { Client, ClientConfig } from 'pg';
import type { SslMode } from '../config/config.ts';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import { beginSession } from './begin-session.ts';
import { lateSettings, refusesSettings, type SessionNeeds, startupOptions } from './session-settings.ts';
import { requireOwnSocket } from './socket-owner.ts';
import { isProof, type Tls, waysOf } from './tls.ts';

export type { Client };

/** Where a server listens: a socket directory (or a host name), and who asks. */
export interface ConnectionTarget {
  readonly socketDir: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password?: string | undefined;
  /** The server's data, whose owner it runs as: nobody else's socket is spoken to. */
  readonly dataDir?: string | undefined;
  /** Over TCP; absent: without TLS, and with it where the server lets nobody in otherwise. */
  readonly sslMode?: SslMode | undefined;
  /** A file of authorities, for verify-ca and verify-full; absent: those of Node. */
  readonly sslRootCert?: string | undefined;
  /** As libpq has it: how a server may ask for the password over TCP. */
  readonly requireAuth?: string | undefined;
}

/** One statement's result: its command tag without the count ('SELECT', 'CREATE'), and the rows where it gives any. */
export interface SqlResult {
  readonly command: string;
  /** Rows that it gave or changed; null where it counts none. */
  readonly rowCount: number | null;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** One session. Values come back as `pg` parses them: int8, numeric and pg_lsn as text, int4 and bool as such, bytea as a Buffer. */
export interface Connection {
  /** The process of the server's that serves it, as its host numbers them; undefined where the server does not say. */
  readonly backendPid: number | undefined;
  /** Rejects with `command.failed` and the server's words (see `sqlStateOf`), or `service.unready` when the session is gone. */
  query<T extends object = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<T[]>;
  /** The same for SQL of unknown columns, or of several statements: the rows of the last one, each a list, as columns may bear one name. */
  tuples(sql: string): Promise<unknown[][]>;
  /** Every statement's result, values as the server prints them; null for NULL. Rejects as `query` does. */
  results(sql: string): Promise<readonly SqlResult[]>;
  /** Quotes a name for places where SQL takes no parameters. */
  escapeIdentifier(name: string): string;
  /** Quotes a text for places where SQL takes no parameters (utility commands). */
  escapeLiteral(text: string): string;
  /** Idempotent; never rejects. */
  end(): Promise<void>;
}

/**
 * Opens one session; the only home of the `pg` driver, loaded when first needed. `timeoutMs` bounds the connecting; queries are bounded by
 * `signal`, whose firing cuts the session, and the server then rolls back whatever it was doing. Rejects with `service.unready`, or with
 * `server.settings` where a pooler stands in between. Called by sessions.ts alone, which decides who asks and with which settings.
 */
export async function connect(
  target: ConnectionTarget,
  { timeoutMs, ...needs }: SessionNeeds & { readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<Connection> {
  try {
    return await enter(target, { timeoutMs, needs, trusted: true }, signal);
  } catch (cause) {
    if (needs.as !== 'superuser' || !refusesSettings(sqlStateOf(cause))) throw cause;
    return enter(target, { timeoutMs, needs: { ...needs, major: undefined }, trusted: false }, signal); // Not a superuser, or an older server than was thought.
  }
}

/** invalid_authorization_specification: no line of pg_hba.conf lets this client in, as for a hostssl line without TLS. */
const NO_LINE = '28000';

/** As libpq's sslmode: the ways of `waysOf`, each where the one before it could not even begin. Rejects with what the server said last. */
async function enter(target: ConnectionTarget, how: Omit<Attempt, 'tls'>, signal: AbortSignal): Promise<Connection> {
  const [first, second] = await waysOf(target);
  try {
    return await attempt(target, { ...how, tls: first! }, signal);
  } catch (cause) {
    if (second === undefined || !(sqlStateOf(cause) === NO_LINE || (first !== false && isNegotiation(cause)))) throw cause;
    return attempt(target, { ...how, tls: second }, signal).catch((again: unknown) => {
      throw first === false && sqlStateOf(again) === undefined && !signal.aborted ? cause : again;
    });
  }
}

/** Somebody listens, and TLS did not come about: the network says nothing, nor does the server. */
const isNegotiation = (thrown: unknown): boolean =>
  sqlStateOf(thrown) === undefined &&
  thrown instanceof DbkitError &&
  thrown.code === 'service.unready' &&
  errnoOf(thrown.cause) === undefined;

interface Attempt {
  readonly timeoutMs: number;
  readonly needs: SessionNeeds;
  readonly trusted: boolean;
  readonly tls: Tls;
}

async function attempt(target: ConnectionTarget, { timeoutMs, needs, trusted, tls }: Attempt, signal: AbortSignal): Promise<Connection> {
  let version = '';
  const hear = (client: Client): void => {
    client.connection.on('parameterStatus', ({ parameterName, parameterValue }: { parameterName: string; parameterValue: string }) => {
      if (parameterName === 'server_version') version = parameterValue;
    });
  };
  const options = startupOptions(needs, { trusted });
  const given = { options, application_name: 'dbkit', connectionTimeoutMillis: timeoutMs, ssl: tls && { ...tls } };
  const client = await openClient(target, given, signal, hear);
  try {
    const late = lateSettings(needs, Number.parseInt(version, 10) || 0, { trusted });
    if (late !== '') await client.query(late);
    return sessionOf(client, signal);
  } catch (cause) {
    void closeClient(client);
    signal.throwIfAborted();
    throw refused(target, cause);
  }
}

/** The driver's client with a session that has begun; `signal` cuts it. Rejects as `connect` does. For sessions that are no SQL, too. */
export async function openClient(
  { socketDir: host, port, user, database, password, dataDir, requireAuth }: ConnectionTarget,
  given: ClientConfig & { readonly replication?: 'true'; readonly ssl?: Tls },
  signal: AbortSignal,
  hear: (client: Client) => void = () => undefined,
): Promise<Client> {
  signal.throwIfAborted();
  const { default: pg } = await import('pg');
  const isOwn = (): Promise<void> => requireOwnSocket({ socketDir: host, port, dataDir });
  await isOwn();
  // PGPASSWORD, ~/.pgpass and PGOPTIONS of whoever runs dbkit do not count: a function in place of a password, and options that are given. It looks
  // again, as the server may have gone since, and somebody else have come.
  const client = new pg.Client({
    host,
    port,
    user,
    database,
    password: () => isOwn().then(() => password ?? ''),
    keepAlive: true,
    ...given,
  });
  client.on('error', () => undefined); // A session lost while idle is reported by the next query; unheard it would end the process.
  hear(client);
  const cut = (): void => void closeClient(client);
  signal.addEventListener('abort', cut, { once: true });
  client.connection.once('end', () => signal.removeEventListener('abort', cut));
  try {
    await beginSession(client, { host, port, requireAuth, isProven: isProof(given.ssl ?? false) });
    return client;
  } catch (cause) {
    void closeClient(client);
    signal.throwIfAborted();
    throw cause instanceof DbkitError ? cause : refused({ port }, cause);
  }
}

/** Loads the driver while the server is still starting, so that the first question need not wait for it. Never rejects: whoever connects is told. */
export const loadDriver = (): Promise<unknown> => import('pg').catch(() => undefined);

/** protocol_violation in answer to a startup packet: PostgreSQL takes this one, poolers do not (PgBouncer, ignore_startup_parameters). */
const PROTOCOL_VIOLATION = '08P01';

function refused({ port }: Pick<ConnectionTarget, 'port'>, cause: unknown): DbkitError {
  if (sqlStateOf(cause) === PROTOCOL_VIOLATION)
    return new DbkitError('server.settings', `a pooler (PgBouncer) answers on port ${port}, not PostgreSQL itself`, {
      hint: 'set PGHOST and PGPORT to where PostgreSQL itself listens',
      cause,
    });
  return new DbkitError('service.unready', `PostgreSQL does not answer on port ${port}: ${wordsOf(cause)}`, {
    hint: 'check whether the server is running and accepts this user: `dbkit status`',
    cause,
  });
}

function sessionOf(client: Client, signal: AbortSignal): Connection {
  let lost: unknown; // How it was lost while idle: the driver tells the next question only that it was.
  client.on('error', (cause) => {
    lost ??= cause;
  });
  let ended: Error | undefined; // The server's last word to the sessions that end with another one's crash (quickdie, postgres.c).
  client.on('notice', ({ code, severity, message }) => {
    if (code === '57P02') ended = Object.assign(new Error(message), { code, severity });
  });
  const asking = async <T>(ask: () => Promise<{ rows: T[] }>): Promise<T[]> => {
    signal.throwIfAborted();
    try {
      return (await ask()).rows;
    } catch (cause) {
      signal.throwIfAborted();
      if (sqlStateOf(cause)) throw new DbkitError('command.failed', `PostgreSQL answered: ${wordsOf(cause)}`, { cause });
      throw new DbkitError('service.unready', `PostgreSQL gave no answer: ${wordsOf(ended ?? lost ?? cause)}`, { cause: ended ?? cause });
    }
  };
  return {
    backendPid: (client as Client & { readonly processID?: number | null }).processID ?? undefined,
    query: <T extends object>(sql: string, params: readonly unknown[] = []) => asking(() => client.query<T>(sql, [...params])),
    tuples: (text) => asking(async () => [await client.query<unknown[]>({ text, rowMode: 'array' })].flat().at(-1)!), // Several statements, several results.
    results: async (text) => {
      const asText = { getTypeParser: () => (value: string) => value };
      const answer = await asking(async () => ({
        rows: [await client.query<(string | null)[]>({ text, rowMode: 'array', types: asText })].flat(),
      }));
      return answer.map(({ command, rowCount, fields, rows }) => ({ command, rowCount, columns: fields.map(({ name }) => name), rows }));
    },
    escapeIdentifier: (name) => client.escapeIdentifier(name),
    escapeLiteral: (text) => client.escapeLiteral(text),
    end: () => closeClient(client),
  };
}

/** The five-character SQLSTATE of a server's refusal ('28P01', '57P03', …), looked for along the chain of causes; else undefined. */
export function sqlStateOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { code, severity } = thrown as Error & { code?: unknown; severity?: unknown };
  if (typeof code === 'string' && typeof severity === 'string') return code;
  return sqlStateOf(thrown.cause);
}

/** Where in the statement an error is: characters from 1; undefined where the server does not say. */
export function positionOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { position } = thrown as Error & { position?: unknown };
  return typeof position === 'string' && /^\d+$/.test(position) ? Number(position) : positionOf(thrown.cause);
}

/** The server's message with its detail, which says which file it is; of what was not the server's, the words alone. */
export function detailOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { detail } = thrown as Error & { detail?: unknown };
  return [thrown.message, typeof detail === 'string' ? detail : '', thrown.cause === undefined ? '' : detailOf(thrown.cause)]
    .filter(Boolean)
    .join('\n');
}

const wordsOf = (thrown: unknown): string => (thrown instanceof Error && thrown.message ? thrown.message : String(thrown));

const FAREWELL_MS = 1_000;

/** Ends the session; the driver drops the socket at once when a query is under way. A backend that does not even hang up is left to itself. */
export async function closeClient(client: Client): Promise<void> {
  const hangUp = setTimeout(() => client.connection.stream.destroy(), FAREWELL_MS);
  await client.end().catch(() => undefined);
  clearTimeout(hangUp);
}

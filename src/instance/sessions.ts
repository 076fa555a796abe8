import { join } from 'node:path';
import type { SslMode } from '../config/config.ts';
import type { Secret } from '../kernel/secret.ts';
import { readPlainText } from '../machine/plain-file.ts';
import { type Connection, connect, sqlStateOf } from './connection.ts';
import { type SessionNeeds, startupOptions } from './session-settings.ts';
import { peerEnvironment } from './socket-owner.ts';
import { provesServer } from './tls.ts';

/** Where a server is asked, and as whom. The configuration's `postgresql` is one. */
export interface ServerAddress {
  /** A socket directory, or a host name. */
  readonly socketDir: string;
  readonly port: number;
  readonly superuser: string;
  readonly superuserPassword?: Secret | undefined;
  /** The data that the server is taken to work on: its PG_VERSION spares a question, and its owner is whose socket is spoken to. */
  readonly dataDir?: string | undefined;
  /** Its data is elsewhere. */
  readonly connectionOnly?: boolean | undefined;
  readonly sslMode?: SslMode | undefined;
  readonly sslRootCert?: string | undefined;
  readonly requireAuth?: string | undefined;
  /** The application's database and role; a database that is not named bears the role's name. */
  readonly database?: string | undefined;
  readonly username?: string | undefined;
}

/** How long a session may take to begin, and a statement to wait and to run; absent: without end. */
export interface SessionLimits extends Omit<SessionNeeds, 'as'> {
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * A session as the superuser: the search_path is the server's own catalogs, no setting of a database or a role counts, and no library or
 * trigger of anybody's runs. Every question of dbkit's goes through here. Rejects with `service.unready` (see `sqlStateOf`).
 */
export async function openAsSuperuser(
  address: ServerAddress,
  database: string,
  { connectTimeoutMs = CONNECT_TIMEOUT_MS, major, ...limits }: SessionLimits,
  signal: AbortSignal,
): Promise<Connection> {
  const { superuser: user, superuserPassword } = address;
  const target = { ...wayTo(address), user, database, password: superuserPassword?.reveal() };
  const needs = { as: 'superuser', major: major ?? (await majorOf(address.dataDir)), timeoutMs: connectTimeoutMs, ...limits } as const;
  return connect(target, needs, signal);
}

/** Where the server is reached, and what it must prove. */
export const wayTo = (address: Omit<ServerAddress, 'superuser'>) => {
  const { socketDir, port, sslMode, sslRootCert, requireAuth } = address;
  return { socketDir, port, sslMode, sslRootCert, requireAuth, dataDir: dataOf(address) };
};

/** The data on this machine by whose owner a server is known. */
export const dataOf = ({ dataDir, connectionOnly = false }: Pick<ServerAddress, 'dataDir' | 'connectionOnly'>): string | undefined =>
  connectionOnly ? undefined : dataDir;

/** No such database, it lets nobody in, or not this role: invalid_catalog_name, object_not_in_prerequisite_state, invalid_authorization_specification (postinit.c, hba.c). */
const closed = new Set(['3D000', '55000', '28000']);

/**
 * The same for questions about the server as a whole, however long they take: in `postgres`, else in the application's database. In `template1`
 * last, as nobody can make a database while somebody else's session is in its template (createdb in src/backend/commands/dbcommands.c).
 */
export async function openForServer(
  address: ServerAddress,
  limits: SessionLimits,
  signal: AbortSignal,
  unasked: Pick<ReadonlyMap<string, unknown>, 'has'> = new Map(),
): Promise<Connection> {
  const names = databasesForServer(address);
  const open = names.filter((name) => !unasked.has(name));
  return openInFirst(open.length > 0 ? open : names, address, limits, signal);
}

/** Databases where a question about the server as a whole is asked, the first of them that lets somebody in. */
export function databasesForServer({ database, username }: Pick<ServerAddress, 'database' | 'username'>): readonly string[] {
  const application = database ?? username;
  return [...new Set(['postgres', ...(application === undefined ? [] : [application]), 'template1'])];
}

/** For making, renaming and dropping databases: `postgres`, else `template1`, which no one of them is. Advisory locks are of that database. */
export const openForDatabases = (address: ServerAddress, limits: SessionLimits, signal: AbortSignal): Promise<Connection> =>
  openInFirst(['postgres', 'template1'], address, limits, signal);

/** Rejects with what the first one said. */
async function openInFirst(
  [first, ...others]: readonly string[],
  address: ServerAddress,
  limits: SessionLimits,
  signal: AbortSignal,
): Promise<Connection> {
  return openAsSuperuser(address, first!, limits, signal).catch((cause: unknown) => {
    if (others.length === 0 || !closed.has(sqlStateOf(cause) ?? '')) throw cause;
    return openInFirst(others, address, limits, signal).catch((again: unknown) => {
      throw closed.has(sqlStateOf(again) ?? '') ? cause : again;
    });
  });
}

/** A role that asks as itself: its own search_path counts, as what runs has its rights only. */
export interface AsRole {
  readonly socketDir: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: string | undefined;
  /** As `dataOf` has it. */
  readonly dataDir?: string | undefined;
  readonly sslMode?: SslMode | undefined;
  readonly sslRootCert?: string | undefined;
  readonly requireAuth?: string | undefined;
}

/** A session as the application's role, or as another one that owns what is asked for. */
export const openAsRole = (
  target: AsRole,
  { connectTimeoutMs = CONNECT_TIMEOUT_MS, ...limits }: SessionLimits,
  signal: AbortSignal,
): Promise<Connection> => connect(target, { as: 'application', timeoutMs: connectTimeoutMs, ...limits }, signal);

/** A session with PgBouncer's admin console, as one of its admin_users; commands there take no parameters. */
export const openPooler = (
  { socketDir, port, superuser: user, superuserPassword, requireAuth }: ServerAddress,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<Connection> =>
  connect(
    { socketDir, port, user, database: 'pgbouncer', password: superuserPassword?.reveal(), requireAuth },
    { as: 'pooler', timeoutMs: connectTimeoutMs },
    signal,
  );

/**
 * How PostgreSQL's own tools know the server on a socket, and how they let one ask over TCP (libpq from 16 on; an older one lets it ask as it
 * likes, after dbkit's own session was let in). Rejects with `data.owner` where somebody else listens.
 */
export async function peerOf(
  address: Pick<ServerAddress, 'socketDir' | 'port' | 'dataDir' | 'connectionOnly' | 'sslMode' | 'sslRootCert' | 'requireAuth'>,
): Promise<Record<string, string>> {
  const { socketDir, requireAuth } = address;
  const isSocket = socketDir.startsWith('/');
  if (!isSocket) return requireAuth === undefined && provesServer(address) ? {} : { PGREQUIREAUTH: requireAuth ?? '!password' };
  const peer = await peerEnvironment({ ...address, dataDir: dataOf(address) });
  return { ...peer, ...(requireAuth === undefined ? {} : { PGREQUIREAUTH: '' }) }; // What is wished for TCP need not hold on a socket.
}

/** How PostgreSQL's own tools come to TLS; nothing where it is left to them. */
export const tlsEnvironment = ({ sslMode, sslRootCert }: Pick<ServerAddress, 'sslMode' | 'sslRootCert'>): Record<string, string> => ({
  ...(sslMode === undefined ? {} : { PGSSLMODE: sslMode }),
  ...(sslRootCert === undefined ? {} : { PGSSLROOTCERT: sslRootCert }),
});

/** PGOPTIONS for PostgreSQL's own tools, whoever they log in as; `major`: the server's, undefined where it is not known. */
export const toolOptions = (major: number | undefined): string => startupOptions({ as: 'superuser', major }, { trusted: false });

/** The same for a tool that is known to log in as a superuser: no trigger and no library of anybody's runs in its sessions. */
export const superuserToolOptions = (major: number | undefined): string => startupOptions({ as: 'superuser', major });

async function majorOf(dataDir: string | undefined): Promise<number | undefined> {
  if (dataDir === undefined) return undefined;
  const text = await readPlainText(join(dataDir, 'PG_VERSION')).catch(() => ''); // Missing, damaged or not for this user to read.
  const major = Number.parseInt(text, 10);
  return major >= 10 && major < 100 ? major : undefined;
}

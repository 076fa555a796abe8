import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/layers.ts';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import { Secret } from '../kernel/secret.ts';
import { type ConnectionWords, parseUrl, passwordIn, serviceIn, wordsOfEnvironment } from './connection-string.ts';

/** A server of which nothing but a connection is at hand: the one home of where it is, and as whom it is asked. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret | undefined;
  readonly database: string;
  readonly sslMode: ConnectionWords['sslMode'];
  readonly sslRootCert: string | undefined;
  readonly requireAuth: string | undefined;
  /** '--url', 'DATABASE_URL', …: named it. */
  readonly from: string;
}

interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** With the rights of the person who started dbkit. Throws the system's failure. */
  readAsCaller(path: string): string;
}

/**
 * The server that a person named; else that of the environment, where nothing says that a server's files are here, for commands that only ask.
 * Undefined: the configuration's own. Rejects with `usage.invalid`.
 */
export async function findTarget(
  { config, origins }: LoadedConfig,
  { url, takesAnyServer, ...surroundings }: Surroundings & { readonly url: string | undefined; readonly takesAnyServer: boolean },
): Promise<Target | undefined> {
  if (url !== undefined) return targetOf(url, '--url', surroundings);
  if (!takesAnyServer || ['postgresql.dataDir', 'postgresql.socketDir'].some((path) => origins.has(path))) return undefined;
  const entries = await readdir(config.postgresql.dataDir).catch((cause: unknown) => (errnoOf(cause) === 'ENOENT' ? [] : ['unreadable']));
  return entries.length === 0 ? targetOfEnvironment(surroundings) : undefined;
}

/** The server of a URL; what the URL does not say is libpq's environment, service or password file. Rejects with `usage.invalid`. */
export const targetOf = (url: string, from: string, surroundings: Surroundings): Promise<Target> =>
  complete(parseUrl(url), from, surroundings);

/**
 * The server that the environment names, where nothing else is at hand: DATABASE_URL, else PGSERVICE, else PGHOST as the name of a host. Undefined
 * where it names none. Rejects with `usage.invalid`.
 */
export async function targetOfEnvironment(surroundings: Surroundings): Promise<Target | undefined> {
  const { environment } = surroundings;
  const url = environment['DATABASE_URL'];
  if (url?.startsWith('postgres')) return complete(parseUrl(url), 'DATABASE_URL', surroundings);
  if (environment['PGSERVICE']) return complete({}, 'PGSERVICE', surroundings);
  const host = environment['PGHOST'];
  return host && !host.startsWith('/') ? complete({}, 'PGHOST', surroundings) : undefined;
}

const DEFAULT_PORT = 5432;

/** Each word from the first that has it: the URL, the service, the environment, libpq's own default. */
async function complete(given: ConnectionWords, from: string, surroundings: Surroundings): Promise<Target> {
  const { environment } = surroundings;
  const words = { ...present(wordsOfEnvironment(environment)), ...present(service(surroundings)), ...present(given) };
  const {
    host = 'localhost',
    port = DEFAULT_PORT,
    sslMode = host.startsWith('/') ? undefined : 'prefer',
    sslRootCert,
    requireAuth,
  } = words;
  const user = words.user ?? environment['USER'] ?? environment['LOGNAME'] ?? 'postgres';
  const database = words.database ?? user;
  const password = words.password ?? (await passwordOf({ host, port, database, user }, surroundings));
  const secret = password === undefined ? undefined : new Secret(password);
  return { host, port, user, database, password: secret, sslMode, sslRootCert, requireAuth, from };
}

const present = (words: ConnectionWords | undefined): ConnectionWords =>
  Object.fromEntries(Object.entries(words ?? {}).filter(([, value]) => value !== undefined));

function service({ environment, readAsCaller }: Surroundings): ConnectionWords | undefined {
  const name = environment['PGSERVICE'];
  if (!name) return undefined;
  const files = [
    environment['PGSERVICEFILE'] ?? join(environment['HOME'] ?? '/', '.pg_service.conf'),
    join(environment['PGSYSCONFDIR'] ?? '/etc/postgresql-common', 'pg_service.conf'),
  ];
  for (const file of files) {
    const found = serviceIn(textOf(file, readAsCaller) ?? '', name);
    if (found) return found;
  }
  throw new DbkitError('usage.invalid', `PGSERVICE is ${name}, and no service file has it`, { hint: `looked in ${files.join(' and ')}` });
}

/** As libpq: a password file that others may read is none. */
async function passwordOf(
  asked: Parameters<typeof passwordIn>[1],
  { environment, readAsCaller }: Surroundings,
): Promise<string | undefined> {
  const file = environment['PGPASSFILE'] ?? join(environment['HOME'] ?? '/', '.pgpass');
  const mode = await stat(file).then(
    (entry) => entry.mode,
    () => undefined,
  );
  if (mode === undefined || (mode & 0o077) !== 0) return undefined;
  return passwordIn(textOf(file, readAsCaller) ?? '', asked);
}

function textOf(file: string, read: (path: string) => string): string | undefined {
  try {
    return read(file);
  } catch {
    return undefined; // Missing, or not for this user: then it says nothing.
  }
}

/**
 * The configuration for a server that is a connection and nothing else: no file of another server's is looked at, and what dbkit keeps of it lies in a
 * folder of its own, unless the configuration says where.
 */
export function withTarget(
  { config, origins }: LoadedConfig,
  { host, port, user, password, database, sslMode, sslRootCert, requireAuth }: Target,
  environment: Surroundings['environment'],
): Config {
  const folder = join(environment['XDG_STATE_HOME'] ?? join(environment['HOME'] ?? '/tmp', '.local/state'), 'dbkit');
  const own = join(folder, `${host.replace(/[^\w.-]+/g, '_')}-${port}`);
  return {
    ...config,
    stateDir: join(own, 'state'),
    logDir: join(own, 'logs'),
    backupDir: origins.has('backupDir') ? config.backupDir : join(own, 'backups'),
    postgresql: {
      ...config.postgresql,
      connectionOnly: true,
      dataDir: join(own, 'files-of-another-machine'),
      socketDir: host,
      port,
      superuser: user,
      superuserPassword: password,
      username: user,
      password: password ?? new Secret(''),
      database,
      sslMode,
      sslRootCert,
      requireAuth,
      unit: undefined,
      user: undefined,
    },
  };
}

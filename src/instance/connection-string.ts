import { REQUIRE_AUTH, type SslMode, sslModes } from '../config/config.ts';
import { DbkitError } from '../kernel/errors.ts';

/** The words of a connection, whoever gave them; what is missing comes from elsewhere, or is a default. */
export interface ConnectionWords {
  /** A host name, an address, or the directory of a socket. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: string | undefined;
  readonly sslMode?: SslMode | undefined;
  readonly sslRootCert?: string | undefined;
  readonly requireAuth?: string | undefined;
}

const URL = /^postgres(?:ql)?:\/\/(?:([^@/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;
/** libpq takes a certificate of the client's; dbkit's own sessions do not. */
const refused = ['sslcert', 'sslkey', 'sslcrl', 'service', 'passfile'];

/** Pure. `postgresql://user:password@host:port/database?sslmode=…` (libpq, "Connection URIs"). Throws `usage.invalid`, and never shows it. */
export function parseUrl(url: string): ConnectionWords {
  const parts = URL.exec(url.trim());
  if (!parts) throw wrong('it is not of the form postgresql://USER@HOST:PORT/DATABASE');
  const [, login = '', place = '', database = '', query = ''] = parts;
  if (place.includes(',')) throw wrong('it names several hosts, and dbkit asks one server');
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(place) ?? [];
  const colon = login.indexOf(':');
  const given = new Map(query.split('&').flatMap((pair) => (pair === '' ? [] : [keyValue(pair)])));
  const strange = refused.find((name) => given.has(name));
  if (strange !== undefined) throw wrong(`dbkit cannot obey ${strange}`);
  return wordsOf({
    host: decoded(host.replace(/^\[|\]$/g, '')),
    port: port ?? '',
    user: decoded(colon === -1 ? login : login.slice(0, colon)),
    password: colon === -1 ? '' : decoded(login.slice(colon + 1)),
    dbname: decoded(database),
    ...Object.fromEntries(given),
  });
}

function keyValue(pair: string): [string, string] {
  const at = pair.indexOf('=');
  if (at === -1) throw wrong('what follows the question mark must be NAME=VALUE');
  return [decoded(pair.slice(0, at)), decoded(pair.slice(at + 1))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('it holds a % that begins no code; write %25 for a % itself');
  }
}

/** Pure. The names are libpq's, as in a service file; '' is none. */
function wordsOf(given: Readonly<Record<string, string>>): ConnectionWords {
  const text = (name: string): string | undefined => given[name] || undefined;
  const port = text('port') === undefined ? undefined : Number(text('port'));
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) throw wrong('its port is no number from 1 to 65535');
  const sslMode = sslModes.find((mode) => mode === text('sslmode'));
  if (text('sslmode') !== undefined && sslMode === undefined) throw wrong(`its sslmode is none of ${sslModes.join(', ')}`);
  if (!REQUIRE_AUTH.test(given['require_auth'] ?? '')) throw wrong('its require_auth is no list of methods, like password,scram-sha-256');
  return {
    host: text('host') ?? text('hostaddr'),
    port,
    user: text('user'),
    password: text('password'),
    database: text('dbname'),
    sslMode,
    sslRootCert: text('sslrootcert'),
    requireAuth: text('require_auth'),
  };
}

/** Pure. One section of a service file (libpq, "The Connection Service File"); undefined where there is none of that name. */
export function serviceIn(text: string, name: string): ConnectionWords | undefined {
  const lines = text.split('\n').map((line) => line.trim());
  const begin = lines.indexOf(`[${name}]`);
  if (begin === -1) return undefined;
  const rest = lines.slice(begin + 1);
  const end = rest.findIndex((line) => line.startsWith('['));
  const section = (end === -1 ? rest : rest.slice(0, end)).filter((line) => line !== '' && !line.startsWith('#'));
  return wordsOf(Object.fromEntries(section.map((line) => [line.split('=')[0]!.trim(), line.slice(line.indexOf('=') + 1).trim()])));
}

/** Pure. libpq's own environment (libpq, "Environment Variables"). */
export const wordsOfEnvironment = (environment: Readonly<Record<string, string | undefined>>): ConnectionWords =>
  wordsOf({
    host: environment['PGHOST'] ?? '',
    port: environment['PGPORT'] ?? '',
    user: environment['PGUSER'] ?? '',
    password: environment['PGPASSWORD'] ?? '',
    dbname: environment['PGDATABASE'] ?? '',
    sslmode: environment['PGSSLMODE'] ?? '',
    sslrootcert: environment['PGSSLROOTCERT'] ?? '',
    require_auth: environment['PGREQUIREAUTH'] ?? '',
  });

/**
 * Pure. The password of the first line that fits, `host:port:database:user:password` with * for anything and \ before a colon or a backslash
 * (libpq, "The Password File").
 */
export function passwordIn(text: string, { host, port, database, user }: Required<Pick<PassLine, keyof PassLine>>): string | undefined {
  const wanted = [host.startsWith('/') ? 'localhost' : host, String(port), database, user];
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const fields = [...line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/g)].map(([, field]) => field!.replace(/\\(.)/g, '$1'));
    const password = fields[4];
    if (password !== undefined && password !== '' && wanted.every((word, index) => fields[index] === '*' || fields[index] === word))
      return password;
  }
  return undefined;
}

interface PassLine {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

const wrong = (why: string): DbkitError =>
  new DbkitError('usage.invalid', `the URL of the server cannot be used: ${why}`, {
    hint: 'write it as postgresql://USER@HOST:5432/DATABASE; the password may be in PGPASSWORD or ~/.pgpass',
  });

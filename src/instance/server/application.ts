import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { decide, fill } from '../../kernel/reasons.ts';
import type { Connection } from '../connection.ts';
import { connectForServer, type Local } from '../local.ts';
import { firstPasswordRows } from './first-password.ts';

const ITERATIONS = 4096; // PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS (src/include/common/scram-common.h).

/** The verifier for a password, made here so that the password itself never reaches the server's log. */
export function scramVerifier(password: string, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, ITERATIONS, 32, 'sha256');
  const hmac = (key: string): Buffer => createHmac('sha256', salted).update(key).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`;
}

/** True if `stored` (pg_authid.rolpassword) is the verifier of `password`: then nothing need be written. */
export function isVerifierOf(stored: string | null, password: string, role: string): boolean {
  const salt = /^SCRAM-SHA-256\$4096:([^$]+)\$/.exec(stored ?? '')?.[1];
  if (salt !== undefined) return stored === scramVerifier(password, Buffer.from(salt, 'base64'));
  return (
    stored ===
    `md5${createHash('md5')
      .update(password + role)
      .digest('hex')}`
  );
}

/** Somebody may hold a lock on the roles for ever, as a prepared transaction does. */
const LOCK_TIMEOUT_MS = 2_000;

/**
 * Ensures the application's role and database, and a password that was configured. What else exists is left as it is. Returns what was done,
 * in words.
 */
export async function ensureApplication(local: Local, signal: AbortSignal, socketDir?: string): Promise<string[]> {
  const { username, password, database = username } = local.settings;
  const done: string[] = [];
  const session = await connectForServer(local, signal, socketDir, { lockTimeoutMs: LOCK_TIMEOUT_MS });
  try {
    const [facts] = await session.query<{ standby: boolean; role: boolean; database: boolean; stored: string | null }>(
      `SELECT pg_is_in_recovery() AS standby,
              EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS role,
              (SELECT rolpassword FROM pg_authid WHERE rolname = $1) AS stored,
              EXISTS (SELECT FROM pg_database WHERE datname = $2) AS database`,
      [username, database],
    );
    if (!facts || facts.standby) return done; // A standby gets both from its primary.
    const role = session.escapeIdentifier(username);
    if (!facts.role) {
      const listens = await listenAddresses(session);
      const { then, words } = decide(firstPasswordRows, { isGiven: local.passwordIsGiven, listens });
      const verifier = then === 'none' ? 'NULL' : session.escapeLiteral(scramVerifier(password.reveal()));
      await session.query(`CREATE ROLE ${role} LOGIN PASSWORD ${verifier}`);
      done.push(`created role ${username}${then === 'none' ? ` ${fill(words, { listens })}` : ''}`);
    } else if (local.passwordIsGiven && !isVerifierOf(facts.stored, password.reveal(), username)) {
      await session.query(`ALTER ROLE ${role} PASSWORD ${session.escapeLiteral(scramVerifier(password.reveal()))}`);
      done.push(`gave role ${username} the configured password`);
    }
    if (!facts.database) {
      done.push(await createDatabase(session, database, role));
    }
    return done;
  } finally {
    await session.end();
  }
}

/** The addresses it listens on, and those of its files, which a server on a private socket does not show: the last line of a setting counts. */
const LISTENS = `
  SELECT pg_catalog.current_setting('listen_addresses') AS running,
         (SELECT setting FROM pg_catalog.pg_file_settings WHERE name = 'listen_addresses' ORDER BY seqno DESC LIMIT 1) AS written`;

async function listenAddresses(session: Connection): Promise<string> {
  const [row] = await session.query<{ running: string; written: string | null }>(LISTENS);
  return [row?.running, row?.written].filter(Boolean).join(',');
}

/** Of template1, whose rules of sorting may be those of another C library: then no database can be made from it (createdb in dbcommands.c). */
const TEMPLATE_CHANGED = `
  SELECT datcollversion IS DISTINCT FROM pg_catalog.pg_database_collation_actual_version(oid) AS changed FROM pg_catalog.pg_database WHERE datname = 'template1'`;

/** From template1; from template0, which holds nothing that could be sorted wrongly, where that one's collation has changed. Returns what was done. */
async function createDatabase(session: Connection, database: string, role: string): Promise<string> {
  const create = `CREATE DATABASE ${session.escapeIdentifier(database)} OWNER ${role}`;
  try {
    await session.query(create);
    return `created database ${database}`;
  } catch (cause) {
    const [row] = await session.query<{ changed: boolean }>(TEMPLATE_CHANGED).catch(() => []); // Majors before 15 know no such version.
    if (row?.changed !== true) throw cause;
    await session.query(`${create} TEMPLATE template0`);
    return `created database ${database} from template0, as text is sorted by other rules than when template1 was made: \`dbkit health --probe collations\``;
  }
}

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { connectSuperuser, type Local } from '../local.ts';

const ITERATIONS = 4096; // PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS (src/include/common/scram-common.h).

/** What PostgreSQL stores for a password, made here so that the password itself never reaches the server's log. */
export function scramVerifier(password: string, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, ITERATIONS, 32, 'sha256');
  const hmac = (key: string): Buffer => createHmac('sha256', salted).update(key).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`;
}

/** Whether `stored` (pg_authid.rolpassword) is the verifier of `password`: then nothing need be written. */
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

/**
 * Ensures the application's role and database, and a password that was configured. What else exists is left as it is. Returns what was done,
 * in words.
 */
export async function ensureApplication(local: Local, signal: AbortSignal, socketDir?: string): Promise<string[]> {
  const { username, password, database = username } = local.settings;
  const done: string[] = [];
  const session = await connectSuperuser(local, 'postgres', signal, socketDir);
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
      const verifier = session.escapeLiteral(scramVerifier(password.reveal()));
      await session.query(`CREATE ROLE ${role} LOGIN PASSWORD ${verifier}`);
      done.push(`created role ${username}`);
    } else if (local.passwordIsGiven && !isVerifierOf(facts.stored, password.reveal(), username)) {
      await session.query(`ALTER ROLE ${role} PASSWORD ${session.escapeLiteral(scramVerifier(password.reveal()))}`);
      done.push(`gave role ${username} the configured password`);
    }
    if (!facts.database) {
      await session.query(`CREATE DATABASE ${session.escapeIdentifier(database)} OWNER ${role}`);
      done.push(`created database ${database}`);
    }
    return done;
  } finally {
    await session.end();
  }
}

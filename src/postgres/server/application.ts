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

/** Ensures the application's role and database. What exists is left as it is, its password too. Returns what was created. */
export async function ensureApplication(local: Local, signal: AbortSignal, socketDir?: string): Promise<string[]> {
  const { username, password, database = username } = local.settings;
  const created: string[] = [];
  const session = await connectSuperuser(local, 'postgres', signal, socketDir);
  try {
    const [facts] = await session.query<{ standby: boolean; role: boolean; database: boolean }>(
      `SELECT pg_is_in_recovery() AS standby,
              EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS role,
              EXISTS (SELECT FROM pg_database WHERE datname = $2) AS database`,
      [username, database],
    );
    if (!facts || facts.standby) return created; // A standby gets both from its primary.
    const role = session.escapeIdentifier(username);
    if (!facts.role) {
      const verifier = session.escapeLiteral(scramVerifier(password.reveal()));
      await session.query(`CREATE ROLE ${role} LOGIN PASSWORD ${verifier}`);
      created.push(`role ${username}`);
    }
    if (!facts.database) {
      await session.query(`CREATE DATABASE ${session.escapeIdentifier(database)} OWNER ${role}`);
      created.push(`database ${database}`);
    }
    return created;
  } finally {
    await session.end();
  }
}

import { sqlStateOf } from '../../instance/connection.ts';
import { wordsOf } from '../../kernel/errors.ts';

/** Why there is no session. */
export interface Refusal {
  readonly kind: 'silent' | 'hung' | 'starting' | 'full' | 'not-let-in' | 'no-database' | 'read-only' | 'pooler' | 'other';
  /** The server's words, or the system's. */
  readonly words: string;
}

/** By SQLSTATE where the server itself refused (Appendix A, "PostgreSQL Error Codes"). */
const bySqlState: readonly (readonly [pattern: RegExp, kind: Refusal['kind']])[] = [
  [/^57P03$/, 'starting'], // cannot_connect_now: starting up, shutting down, in recovery
  [/^53300$/, 'full'], // too_many_connections
  [/^28/, 'not-let-in'], // invalid authorization, wrong password, no line in pg_hba.conf
  [/^(3D000|55000)$/, 'no-database'], // or one that takes no sessions: closed, or invalid since a DROP DATABASE was cut off
  [/^08P01$/, 'pooler'], // protocol_violation: PgBouncer's answer to settings of the startup packet
];

/** What a failed attempt to connect says about the server. */
export function refusalOf(cause: unknown): Refusal {
  const words = wordsOf(cause)
    .split('\n')[0]!
    .replace(/^PostgreSQL does not answer on port \d+: /, '');
  const sqlState = sqlStateOf(cause);
  if (/Read-only file system/.test(words)) return { kind: 'read-only', words }; // Reported as a lack of privilege (errcode_for_file_access in elog.c).
  if (sqlState !== undefined) return { kind: bySqlState.find(([pattern]) => pattern.test(sqlState))?.[1] ?? 'other', words };
  if (/timeout|aborted/i.test(words)) return { kind: 'hung', words: 'it takes connections and does not answer them' };
  if (/ECONNREFUSED|ENOENT/.test(words)) return { kind: 'silent', words };
  return { kind: /SCRAM|SASL|password/i.test(words) ? 'not-let-in' : 'other', words };
}

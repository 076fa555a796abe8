import { sqlStateOf } from '../../instance/connection.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import { isOwnTrouble } from '../../kernel/own-trouble.ts';
import type { RefusalKind } from '../facts.ts';

/** Why there is no session. */
export interface Refusal {
  readonly kind: RefusalKind;
  /** The server's words, or the system's. */
  readonly words: string;
  /** The next step, where the failure itself says it. */
  readonly hint?: string | undefined;
}

/** By SQLSTATE where the server itself refused (Appendix A, "PostgreSQL Error Codes"). */
const bySqlState: readonly (readonly [pattern: RegExp, kind: Refusal['kind']])[] = [
  [/^57P0[123]$/, 'starting'], // admin_shutdown, crash_shutdown, cannot_connect_now: it starts, stops or recovers
  [/^53/, 'full'], // insufficient resources: connections, memory, disk
  [/^(XX|58)/, 'damaged'], // internal_error, data_corrupted, index_corrupted; system errors: a file that is not there
  [/^28/, 'not-let-in'], // invalid authorization, wrong password, no line in pg_hba.conf
  [/^(3D000|55000)$/, 'no-database'], // or one that accepts no connections: closed, or invalid since a DROP DATABASE was cut off
  [/^08P01$/, 'pooler'], // protocol_violation: PgBouncer's answer to settings of the startup packet
];

/** The facts that a failed attempt to connect says about the server. */
export function refusalOf(cause: unknown): Refusal {
  const words = wordsOf(cause)
    .split('\n')[0]!
    .replace(/^PostgreSQL does not answer on port \d+: /, '');
  if (isOwnTrouble(cause)) return { kind: 'own', words };
  if (cause instanceof DbkitError && cause.code === 'data.owner') return { kind: 'foreign', words };
  if (cause instanceof DbkitError && cause.code === 'recovery.refused') return { kind: 'own', words, hint: cause.hint }; // It is dbkit that does not go on.
  const sqlState = sqlStateOf(cause);
  if (/Read-only file system/.test(words)) return { kind: 'read-only', words }; // Reported as a lack of privilege (errcode_for_file_access in elog.c).
  if (sqlState !== undefined) return { kind: bySqlState.find(([pattern]) => pattern.test(sqlState))?.[1] ?? 'other', words };
  if (/timeout|aborted/i.test(words)) return { kind: 'hung', words: 'it accepts connections and does not answer' };
  if (/ECONNREFUSED|ENOENT/.test(words)) return { kind: 'silent', words };
  if (/EAGAIN/.test(words)) return { kind: 'full', words: 'more clients connect than it accepts' }; // The backlog of its socket (connect(2)).
  return { kind: /SCRAM|SASL|password/i.test(words) ? 'not-let-in' : 'other', words };
}

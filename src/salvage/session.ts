import { type Connection, detailOf } from '../instance/connection.ts';
import { connectSuperuser, type Local } from '../instance/local.ts';
import { DbkitError } from '../kernel/errors.ts';

/** A session on a server that may fall over any question: it is asked again when a missing file has been replaced, and after a crash. */
export interface PatientSession {
  readonly id: Connection['escapeIdentifier'];
  readonly literal: Connection['escapeLiteral'];
  /** Rejects with the server's words when the question has no answer. */
  query<T extends object = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<T[]>;
  end(): Promise<void>;
}

const RESTART_MS = 60_000;
const RETRY_MS = 250;

/** Rejects when the database lets nobody in. `mend`: puts something in the place of a file that the words name; true when that is new. */
export async function openPatiently(
  local: Local,
  { database, socketDir, mend }: { readonly database: string; readonly socketDir: string; mend(words: string): Promise<boolean> },
  signal: AbortSignal,
): Promise<PatientSession> {
  const { clock } = local.system;
  const enter = async (): Promise<Connection> => {
    const deadlineMs = clock.monotonicMs() + RESTART_MS;
    for (;;) {
      try {
        const session = await connectSuperuser(local, database, signal, socketDir);
        // Above what the database or the role sets for itself.
        await session.query(
          'SET session_replication_role = replica; SET client_min_messages = error; SET default_transaction_read_only = off; SET row_security = off',
        );
        return session;
      } catch (cause) {
        signal.throwIfAborted();
        const words = detailOf(cause);
        if (await mend(words)) continue;
        if (!/starting up|recovery mode|shutting down|ECONNREFUSED|ECONNRESET/.test(words) || clock.monotonicMs() > deadlineMs) throw cause;
        await clock.sleep(RETRY_MS, signal);
      }
    }
  };
  let session = await enter();
  return {
    id: (name) => session.escapeIdentifier(name),
    literal: (text) => session.escapeLiteral(text),
    async query(sql, params) {
      for (;;) {
        try {
          return await session.query(sql, params);
        } catch (cause) {
          signal.throwIfAborted();
          if (await mend(detailOf(cause))) continue;
          if (!(cause instanceof DbkitError && cause.code === 'service.unready')) throw cause;
          await session.end(); // The server fell over this question: it has no answer, and the next one needs a new session.
          session = await enter();
          throw new DbkitError('command.failed', 'the server crashed while it read this', { cause });
        }
      }
    },
    end: () => session.end(),
  };
}

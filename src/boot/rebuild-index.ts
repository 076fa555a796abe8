import { connectSuperuser, type Local } from '../instance/local.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';

const LOCK_TIMEOUT_MS = 5_000;

/** A server, and its own socket where its door is closed to clients. */
export interface Way {
  readonly local: Local;
  readonly socketDir: string | undefined;
}

/**
 * An index holds nothing that its table does not. False when it could not be rebuilt, also where the database lets nobody ask. `index`: as
 * regclass::text gives it, quoted by the server itself; `what`: the beginning of the sentence for the log.
 */
export async function rebuildIndex(
  { local, socketDir }: Way,
  { database, index, what }: { readonly database: string; readonly index: string; readonly what: string },
  signal: AbortSignal,
): Promise<boolean> {
  const { log } = local.system;
  if (local.unasked?.has(database)) return false;
  try {
    const session = await connectSuperuser(local, database, signal, socketDir, { lockTimeoutMs: LOCK_TIMEOUT_MS });
    await session.query(`REINDEX INDEX ${index}`).finally(() => session.end());
    log.info('index.rebuilt', `${what}; rebuilt from its table`);
    return true;
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    log.warn('index.damaged', `index ${index} in ${database} could not be rebuilt`, { why: wordsOf(cause) });
    return false;
  }
}

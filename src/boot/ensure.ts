import { sqlStateOf } from '../instance/connection.ts';
import type { Local } from '../instance/local.ts';
import { ensureApplication } from '../instance/server/application.ts';
import { tellTrouble, troubleOf } from '../instance/session-trouble.ts';
import { wordsOf } from '../kernel/errors.ts';

const PAUSES_MS = [100, 300, 1_000, 3_000] as const;

/**
 * The application's role and database, asked for again while the trouble is one that passes. A new cluster is of no use without them: there it
 * rejects; elsewhere what could not be made sure is told, and the server serves.
 */
export async function ensurePatiently(
  local: Local,
  { isNew, socketDir }: { readonly isNew: boolean; readonly socketDir?: string | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = local.system;
  for (const pauseMs of [...PAUSES_MS, undefined]) {
    try {
      const ensured = await ensureApplication(local, signal, socketDir);
      if (ensured.length > 0) log.info('application.ensured', ensured.join(', '));
      return;
    } catch (cause) {
      signal.throwIfAborted();
      const { passes = false, id } = troubleOf({ sqlState: sqlStateOf(cause), words: wordsOf(cause) });
      if (passes && pauseMs !== undefined) {
        await clock.sleep(pauseMs, signal);
        continue;
      }
      if (isNew) throw cause;
      log.warn('application.unsure', `could not check or create the application’s role and database: ${tellTrouble(id, wordsOf(cause))}`, {
        why: wordsOf(cause),
      });
      return;
    }
  }
}

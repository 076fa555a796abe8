import type { Finding } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { type Local, unaskedSince } from '../instance/local.ts';
import type { Silence } from '../instance/server/databases.ts';
import { troubleOf } from '../instance/session-trouble.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import { examine } from './complaints.ts';

const FIRST_PAUSE_MS = 5_000;
const PAUSE_MS_MAX = 10 * 60_000;

/**
 * Asks the databases of which nothing is known again, on the serving server, until each has answered or said that asking does not help. What is
 * found then is told; nothing is replaced under people who work with it. Never rejects; ends with `signal`.
 */
export async function askSilentDatabases(
  local: Local,
  before: Inspection,
  {
    unknown,
    found,
    killed,
  }: {
    readonly unknown: readonly Silence[];
    readonly found: (findings: readonly Finding[]) => void;
    readonly killed: (names: readonly string[]) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = local.system;
  let left = unknown;
  try {
    for (let pauseMs = FIRST_PAUSE_MS; left.some((silence) => troubleOf(silence).passes); pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      await clock.sleep(pauseMs, signal);
      const [unaskedNow, hungUp] = [unaskedSince(local), local.hungUp?.size];
      const { complaints, unknown: still } = await examine(local, before, { patienceMs: 0 }, signal);
      if (unaskedNow().length > 0 || local.hungUp?.size !== hungUp) killed(unaskedNow());
      if (complaints.length > 0) return found(complaints);
      if (still.length === 0) log.info('databases.checked', 'every database that accepts connections has answered now');
      left = still;
    }
  } catch (cause) {
    if (!isAbort(cause)) log.warn('databases.unchecked', 'the databases could not be asked again', { why: wordsOf(cause) });
  }
}

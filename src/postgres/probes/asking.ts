import type { Probe, ProbeResult } from '../../core/contracts.ts';
import { skipped } from '../../core/health.ts';
import type { SharedSessions, Watch } from './sessions.ts';

interface Question {
  readonly name: string;
  readonly title: string;
  /** The answer is about other roles' sessions, which an ordinary role does not see. */
  readonly needsAll?: boolean;
}

/** A probe that asks the running server's statistics. Without a session it is skipped: why there is none is the connection's to tell. */
export function asking(
  sessions: SharedSessions,
  { name, title, needsAll = false }: Question,
  judgeIt: (watch: Watch) => Promise<ProbeResult>,
): Probe {
  return {
    name,
    title,
    check: (signal) =>
      sessions.during(signal, async ({ watch }) => {
        const seen = await watch();
        if (!seen) return skipped('the server does not answer');
        if (needsAll && !seen.seesAll)
          return skipped('this role does not see the sessions of others; `GRANT pg_monitor` to it would let it');
        return judgeIt(seen);
      }),
  };
}

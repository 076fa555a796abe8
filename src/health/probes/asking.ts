import type { ProbeName } from '../../config/probe-names.ts';
import { skipped } from '../health.ts';
import type { ProbeOf, ProbeResult, ResultOf } from '../probe.ts';
import type { Sessions, SharedSessions, Watch } from './sessions.ts';

interface Question<Name extends ProbeName> {
  readonly name: Name;
  readonly title: string;
  /** The answer is about other roles' sessions, which an ordinary role does not see. */
  readonly needsAll?: boolean;
}

/** A probe that asks the running server's statistics. Without a session it is skipped: why there is none is the connection's to tell. */
export function asking<Name extends ProbeName>(
  sessions: SharedSessions,
  { name, title, needsAll = false }: Question<Name>,
  judgeIt: (watch: Watch, signal: AbortSignal) => Promise<ResultOf<Name>>,
): ProbeOf<Name> {
  return {
    name,
    title,
    check: (signal) =>
      sessions.during(signal, async (open) => {
        const seen = await open.watch();
        if (!seen) return notAsked(open);
        if (needsAll && !seen.seesAll)
          return skipped('this role does not see the sessions of others; `GRANT pg_monitor` to it would let it');
        return judgeIt(seen, signal);
      }),
  };
}

/** The result of a question for which there is no session. */
export async function notAsked({ superuser }: Sessions): Promise<ProbeResult<never>> {
  const { refusal } = await superuser();
  return skipped(refusal?.kind === 'not-let-in' || refusal?.kind === 'full' ? 'nobody is let in to ask' : 'the server does not answer');
}

import type { ExitReason } from '../kernel/machine.ts';
import { decide, fill, type Row } from '../kernel/reasons.ts';
import type { RestartPolicy } from './service.ts';

/** Tells if a service that died is started again, and after how long; `because` is for people. */
export type RestartDecision = { readonly reason: RestartRule; readonly because: string } & (
  | { readonly restart: true; readonly afterMs: number }
  | { readonly restart: false }
);

export interface RestartFacts {
  readonly policy: RestartPolicy['policy'];
  readonly endedWell: boolean;
  /** Deaths within the window, this one included. */
  readonly recent: number;
  readonly max: number;
  readonly windowSeconds: number;
}
type Rule = Row<RestartFacts, 'restart' | 'leave'>;

/** First match wins. */
const rows = [
  { id: 'restarts-never', when: ({ policy }) => policy === 'never', then: 'leave', words: 'its restart policy is never' },
  {
    id: 'ended-by-itself',
    when: ({ policy, endedWell }) => policy === 'on-failure' && endedWell,
    then: 'leave',
    words: 'it ended by itself, without a failure',
  },
  {
    id: 'died-too-often',
    when: ({ recent, max }) => recent > max,
    then: 'leave',
    words: 'it died {recent} times within {windowSeconds} s',
  },
  { id: 'restarts', when: () => true, then: 'restart', words: 'death {recent} of {max} that are tolerated' },
] as const satisfies readonly Rule[];

export type RestartRule = (typeof rows)[number]['id'];
export const restartRules: readonly (Rule & { readonly id: RestartRule })[] = rows;

/**
 * `deathsMs` are the times of its deaths, this one included, on the same clock as `nowMs`. The wait doubles with every death inside the
 * window, so a service that dies at once does not burn the machine, and one that dies once a day starts at once.
 */
export function decideRestart(policy: RestartPolicy, exit: ExitReason, deathsMs: readonly number[], nowMs: number): RestartDecision {
  const recent = deathsMs.filter((at) => nowMs - at <= policy.windowMs).length;
  const facts = {
    policy: policy.policy,
    endedWell: exit.code === 0,
    recent,
    max: policy.max,
    windowSeconds: Math.round(policy.windowMs / 1000),
  };
  const { id, then, words } = decide(restartRules, facts);
  const why = { reason: id, because: fill(words, facts) };
  if (then === 'leave') return { restart: false, ...why };
  return { restart: true, afterMs: Math.min(policy.backoffMaxMs, policy.backoffMs * 2 ** (recent - 1)), ...why };
}

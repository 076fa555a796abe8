import { decide, type Row } from '../../kernel/reasons.ts';
import type { JobState } from './memory.ts';

/** One job of the schedule, at one moment. */
export interface DueFacts {
  readonly expression: string | null;
  /** Undefined: it was never scheduled with this state directory. */
  readonly known: Pick<JobState, 'expression' | 'nextAt' | 'outcome'> | undefined;
  /** A run that a kill has ended is begun again at once. */
  readonly isRepeated: boolean;
  /** When it was last done by anybody else, in milliseconds; null: never, or nobody else does it. */
  readonly servedMs: number | null;
  readonly isServerUp: boolean;
  readonly nowMs: number;
}

/** Later than this it is said that the run was missed. */
const LATE_MS = 5 * 60_000;

const dueMs = ({ known }: DueFacts): number => Date.parse(known!.nextAt);

/** First match wins. However many runs were missed, they are made up by one. */
export const dueRows = [
  { id: 'schedule-off', when: ({ expression }) => expression === null, then: 'wait', words: 'nothing is scheduled' },
  {
    id: 'schedule-begins',
    when: ({ expression, known }) => known?.expression !== expression,
    then: 'set',
    words: 'the schedule is new, so nothing was missed',
  },
  {
    id: 'schedule-interrupted',
    when: ({ known, isRepeated, isServerUp }) => known!.outcome === 'interrupted' && isRepeated && isServerUp,
    then: 'run',
    words: 'the last run was interrupted',
  },
  { id: 'schedule-not-due', when: (facts) => facts.nowMs < dueMs(facts), then: 'wait', words: 'its time has not come' },
  {
    id: 'schedule-served',
    when: (facts) => facts.servedMs !== null && facts.servedMs >= dueMs(facts),
    then: 'set',
    words: 'it was done since it was due',
  },
  {
    id: 'schedule-server-down',
    when: ({ isServerUp }) => !isServerUp,
    then: 'wait',
    words: 'no server is ready; it is made up for when one is',
  },
  {
    id: 'schedule-missed',
    when: (facts) => facts.nowMs - dueMs(facts) > LATE_MS,
    then: 'run',
    words: 'its time came while nobody could do it, so it is made up for once',
  },
  { id: 'schedule-due', when: () => true, then: 'run', words: 'its time has come' },
] as const satisfies readonly Row<DueFacts, 'wait' | 'set' | 'run'>[];

/** Pure. */
export const decideDue = (facts: DueFacts): (typeof dueRows)[number] => decide(dueRows, facts);

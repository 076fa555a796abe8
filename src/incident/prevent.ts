import type { Judged } from '../config/tiers.ts';
import { fill } from '../kernel/reasons.ts';
import { duration } from '../kernel/units.ts';

/** The set-up, as an incident has shown it. */
export interface PreventFacts {
  readonly channels: number;
  readonly isWatched: boolean;
  /** From the first sign to the first alert; null: one of them is not known. */
  readonly alertedAfterSeconds: number | null;
  readonly rto: Judged;
  readonly rpo: Judged;
  readonly lost: 'nothing' | 'unknown' | 'something' | null;
  readonly hasTier: boolean;
  /** Incidents within the last week, this one too. */
  readonly incidentsThisWeek: number;
  readonly hasGivenUp: boolean;
}

const LATE_SECONDS = 300;
const OFTEN = 3;

/** Every row that matches is told, in this order. */
export const preventRows = [
  {
    id: 'prevent-nobody-watches',
    when: ({ isWatched }) => !isWatched,
    words: 'no monitor watches here, so nothing is noticed before a user does',
    next: 'watch: `dbkit monitor`, or `monitor.enabled: true` in dbkit.yaml',
  },
  {
    id: 'prevent-nobody-is-told',
    when: ({ channels }) => channels === 0,
    words: 'no alert channel is configured, so nobody was told',
    next: 'add one: `dbkit alert setup`',
  },
  {
    id: 'prevent-late-alert',
    when: ({ alertedAfterSeconds }) => (alertedAfterSeconds ?? 0) > LATE_SECONDS,
    words: 'the first alert came {alertedAfter} after the first sign',
    next: 'lower `monitor.intervalSeconds` or `monitor.maxFailures`',
  },
  {
    id: 'prevent-lost-rows',
    when: ({ lost, rpo }) => lost === 'something' || rpo.met === false,
    words: 'rows were lost',
    next: 'keep the WAL (`wal.mode: tail`) and send it elsewhere (`copies`); `dbkit wal status` shows how far it is',
  },
  {
    id: 'prevent-loss-unknown',
    when: ({ lost }) => lost === 'unknown',
    words: 'nobody can tell whether rows were lost',
    next: 'keep base backups and the WAL: only they prove it. `dbkit backup create`, `wal.mode: tail`',
  },
  {
    id: 'prevent-slow-recovery',
    when: ({ rto }) => rto.met === false,
    words: 'it took longer than the tier allows',
    next: 'rehearse it and see where the time goes: `dbkit backup drill`',
  },
  {
    id: 'prevent-no-target',
    when: ({ hasTier }) => !hasTier,
    words: 'no target is set, so nobody can say whether this was good enough',
    next: 'set `tier` in dbkit.yaml: critical, high, standard or archive',
  },
  {
    id: 'prevent-repeated',
    when: ({ incidentsThisWeek }) => incidentsThisWeek >= OFTEN,
    words: 'it was incident {incidentsThisWeek} within a week: they have one cause, or several that nobody has mended',
    next: 'read them side by side: `dbkit report incident --list`',
  },
  {
    id: 'prevent-given-up',
    when: ({ hasGivenUp }) => hasGivenUp,
    words: 'the monitor has given up, and recovers nothing until a person has looked',
    next: 'mend the cause, then `dbkit monitor resume`',
  },
] as const satisfies readonly {
  readonly id: string;
  readonly when: (facts: PreventFacts) => boolean;
  readonly words: string;
  readonly next: string;
}[];

/** Something that would make the next one smaller. `id`: a row of this table, or of what would fail tonight (`dbkit doctor`). */
export interface Prevention {
  readonly id: string;
  readonly words: string;
  readonly next: string | null;
}

/** Pure. */
export const preventionsOf = (facts: PreventFacts): readonly Prevention[] =>
  preventRows
    .filter(({ when }) => when(facts))
    .map(({ id, words, next }) => ({
      id,
      words: fill(words, { ...facts, alertedAfter: facts.alertedAfterSeconds === null ? '' : duration(facts.alertedAfterSeconds) }),
      next,
    }));

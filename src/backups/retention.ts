import { parseLabel } from '../kernel/labels.ts';
import { decide, fill, type Row } from '../kernel/reasons.ts';
import { type Backup, isGood, type RetentionDecision } from './backup.ts';

export interface RetentionPolicy {
  /** How many of the newest good backups are kept. */
  readonly last: number;
  /** The newest good one of each of the last so many days, weeks and months that have one (UTC; weeks begin on Monday). */
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
  /** Beyond it even the rules above keep nothing but the newest good one. */
  readonly maxAgeMs?: number | undefined;
  /** The backup this run has just made: it stays, however the clock named it. */
  readonly justMade?: string | undefined;
  /** Something in the data is damaged at this moment, and neither mended nor accepted: older backups may be all that holds it. */
  readonly damageIsOpen?: boolean | undefined;
  /** For a label: the copies elsewhere that must have it before it may go, and do not. */
  readonly awaits?: ((label: string) => readonly string[]) | undefined;
}

export interface RetentionFacts {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly justMade: boolean;
  readonly pinned: boolean;
  readonly good: boolean;
  readonly newestGood: boolean;
  readonly newestProven: boolean;
  readonly tooOld: boolean;
  /** Names of the copies elsewhere that it waits for; '' where there are none. */
  readonly awaited: string;
  /** How many good backups that are not pinned are newer, and how many good ones there are at all. */
  readonly newerGood: number;
  readonly totalGood: number;
  /** It is the newest good one of its day, and how many days with a good one are newer; null when a newer one is of the same day. */
  readonly newerDays: number | null;
  readonly newerWeeks: number | null;
  readonly newerMonths: number | null;
  /** Its damage was known when it was taken; how many later ones lack no more than that. */
  readonly isMarked: boolean;
  readonly newerAlike: number;
  readonly damageIsOpen: boolean;
}

const within = (newer: number | null, wanted: number): boolean => newer !== null && newer < wanted;
type Rule = Row<RetentionFacts, 'keep' | 'expire'>;

/** First match wins. The last good backup stays whatever the settings say; a damaged one never counts, and goes when it is no use any more. */
const rows = [
  {
    id: 'known-damage-and-enough-newer',
    when: ({ isMarked, pinned, justMade, newerAlike, last, awaited }) =>
      isMarked && !pinned && !justMade && newerAlike >= last && awaited === '',
    then: 'expire',
    words: 'it lacks what was known to be damaged, and newer ones that lack no more: {newerAlike}',
  },
  { id: 'no-good-backup', when: ({ totalGood }) => totalGood === 0, then: 'keep', words: 'no good backup exists, so nothing expires' },
  { id: 'pinned', when: ({ pinned }) => pinned, then: 'keep', words: 'it is pinned' },
  { id: 'just-made', when: ({ justMade }) => justMade, then: 'keep', words: 'it was made just now' },
  { id: 'newest-good', when: ({ newestGood }) => newestGood, then: 'keep', words: 'it is the newest good backup' },
  { id: 'newest-proven', when: ({ newestProven }) => newestProven, then: 'keep', words: 'it is the newest that a restore has proven' },
  {
    id: 'may-hold-what-is-damaged',
    when: ({ good, damageIsOpen }) => good && damageIsOpen,
    then: 'keep',
    words: 'it may hold what is damaged in the data now',
  },
  {
    id: 'too-old',
    when: ({ good, tooOld, awaited }) => good && tooOld && awaited === '',
    then: 'expire',
    words: 'it is older than retention.maxAge',
  },
  {
    id: 'one-of-the-newest',
    when: ({ good, newerGood, last }) => good && newerGood < last,
    then: 'keep',
    words: 'it is one of the newest {last} good backups',
  },
  {
    id: 'newest-of-its-day',
    when: ({ good, newerDays, daily }) => good && within(newerDays, daily),
    then: 'keep',
    words: 'newest good backup of its day (daily: {daily})',
  },
  {
    id: 'newest-of-its-week',
    when: ({ good, newerWeeks, weekly }) => good && within(newerWeeks, weekly),
    then: 'keep',
    words: 'newest good backup of its week (weekly: {weekly})',
  },
  {
    id: 'newest-of-its-month',
    when: ({ good, newerMonths, monthly }) => good && within(newerMonths, monthly),
    then: 'keep',
    words: 'newest good backup of its month (monthly: {monthly})',
  },
  {
    id: 'awaits-its-copy',
    when: ({ good, isMarked, newerAlike, last, awaited }) => awaited !== '' && (good || (isMarked && newerAlike >= last)),
    then: 'keep',
    words: 'it would go, but it is not verified yet in the copy {awaited}',
  },
  { id: 'enough-newer', when: ({ good }) => good, then: 'expire', words: 'newer good backups: {newerGood}' },
  {
    id: 'damaged-and-enough-newer',
    when: ({ newerGood, last }) => newerGood >= last,
    then: 'expire',
    words: 'it is damaged; newer good backups: {newerGood}',
  },
  { id: 'damaged-but-needed', when: () => true, then: 'keep', words: 'it is damaged, but may hold rows that later backups do not' },
] as const satisfies readonly Rule[];

export type RetentionRule = (typeof rows)[number]['id'];
export const retentionRules: readonly (Rule & { readonly id: RetentionRule })[] = rows;

/** A backup that retention lets go, and that somebody reads at this moment. */
export const beingRead = { keep: true, reason: 'being-read', because: 'it is being read; the next cleanup decides' } as const;

/** The facts that retention looks at. */
export type Candidate = Pick<Backup, 'label' | 'state' | 'systemIdentifier' | 'pinned' | 'knownDamage'>;

/**
 * Which backups stay and which go, each with its reason, newest first. Pure: `backups` are all of one repository and one engine. Order and age
 * are by label, so by the clock that named them; no decision looks at the clock of now, which may be wrong by years. Each cluster is judged
 * by itself: the backups of a new, perhaps empty one never push out those of the one it replaced.
 */
export function planRetention(backups: readonly Candidate[], policy: RetentionPolicy): RetentionDecision[] {
  const clusters = new Set(backups.map(({ systemIdentifier }) => systemIdentifier));
  const decisions = [...clusters].flatMap((cluster) =>
    planCluster(
      backups.filter(({ systemIdentifier }) => systemIdentifier === cluster),
      policy,
    ),
  );
  return decisions.sort(newerFirst);
}

const newerFirst = (a: { readonly label: string }, b: { readonly label: string }): number => (a.label < b.label ? 1 : -1);
const damagedPaths = ({ knownDamage = [] }: Candidate): readonly string[] => knownDamage.map(({ path }) => path);
const timeOf = ({ label }: Candidate): number => parseLabel(label)?.at.getTime() ?? 0;

function planCluster(backups: readonly Candidate[], policy: RetentionPolicy): RetentionDecision[] {
  const newestFirst = [...backups].sort(newerFirst);
  const good = newestFirst.filter(isGood);
  const counted = good.filter(({ pinned }) => !pinned); // A pin is kept beside the others, not instead of one.
  const damageIsOpen = policy.damageIsOpen === true || (newestFirst[0]?.knownDamage ?? []).length > 0;
  const ages = activeAges(newestFirst, policy.maxAgeMs);
  return newestFirst.map((backup, index) => {
    const newer = counted.filter((other) => newestFirst.indexOf(other) < index);
    const lacks = damagedPaths(backup);
    const alike = newestFirst
      .slice(0, index)
      .filter((other) => other.state !== 'damaged' && damagedPaths(other).every((path) => lacks.includes(path)));
    const facts: RetentionFacts = {
      isMarked: lacks.length > 0,
      newerAlike: alike.length,
      damageIsOpen,
      justMade: backup.label === policy.justMade,
      pinned: backup.pinned ?? false,
      good: isGood(backup),
      newestGood: backup === good[0],
      newestProven: backup === newestFirst.find(({ state }) => state === 'proven'),
      tooOld: policy.maxAgeMs !== undefined && ages[index]! > policy.maxAgeMs,
      awaited: (policy.awaits?.(backup.label) ?? []).join(', '),
      newerGood: newer.length,
      totalGood: good.length,
      newerDays: newerPeriods(backup, newer, dayOf),
      newerWeeks: newerPeriods(backup, newer, weekOf),
      newerMonths: newerPeriods(backup, newer, monthOf),
      last: Math.max(policy.last, 1),
      daily: policy.daily ?? 0,
      weekly: policy.weekly ?? 0,
      monthly: policy.monthly ?? 0,
    };
    const { id, then, words } = decide(retentionRules, facts);
    return { label: backup.label, keep: then === 'keep', reason: id, because: fill(words, { ...facts }) };
  });
}

const DAY_MS = 86_400_000;
const MONDAY_MS = 4 * DAY_MS; // 1970 began on a Thursday.
const dayOf = (backup: Candidate): number => Math.floor(timeOf(backup) / DAY_MS);
const weekOf = (backup: Candidate): number => Math.floor((timeOf(backup) - MONDAY_MS) / (7 * DAY_MS));
const monthOf = ({ label }: Candidate): number => Number(label.slice(5, 11));

function newerPeriods(backup: Candidate, newer: readonly Candidate[], periodOf: (backup: Candidate) => number): number | null {
  const periods = new Set(newer.map(periodOf));
  return periods.has(periodOf(backup)) ? null : periods.size;
}

/**
 * Ages from the newest on, in milliseconds. A gap longer than the maximum says nothing about age: either nobody made backups then, or the
 * clock had jumped, and ten wrong years must not expire everything. So such gaps do not count.
 */
function activeAges(newestFirst: readonly Candidate[], maxAgeMs = 0): number[] {
  let ageMs = 0;
  return newestFirst.map((backup, index) => {
    const gapMs = index === 0 ? 0 : timeOf(newestFirst[index - 1]!) - timeOf(backup);
    if (gapMs <= maxAgeMs) ageMs += gapMs;
    return ageMs;
  });
}

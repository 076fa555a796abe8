import type { Backup, RetentionDecision } from './backups.ts';

export interface RetentionPolicy {
  /** How many good backups are kept. */
  readonly last: number;
  /** The backup this run has just made: it stays, however the clock named it. */
  readonly justMade?: string | undefined;
}

interface Facts {
  readonly justMade: boolean;
  /** How many good backups are newer, and how many exist. */
  readonly newerGood: number;
  readonly totalGood: number;
  readonly good: boolean;
  readonly newestProven: boolean;
  readonly last: number;
}

/** First match wins. The last good backup stays whatever the settings say; a damaged one never counts, and goes when it is no use any more. */
const rules: readonly [when: (facts: Facts) => boolean, keep: boolean, because: (facts: Facts) => string][] = [
  [({ totalGood }) => totalGood === 0, true, () => 'no good backup exists, so nothing expires'],
  [({ justMade }) => justMade, true, () => 'it was made just now'],
  [({ good, newerGood }) => good && newerGood === 0, true, () => 'it is the newest good backup'],
  [({ good, newerGood, last }) => good && newerGood < last, true, ({ last }) => `it is one of the newest ${last} good backups`],
  [({ newestProven }) => newestProven, true, () => 'it is the newest that a restore has proven'],
  [({ good }) => good, false, ({ last }) => `${last} newer good backups exist`],
  [({ newerGood, last }) => newerGood >= last, false, ({ newerGood }) => `it is damaged, and ${newerGood} newer good backups exist`],
  [() => true, true, () => 'it is damaged, but may hold what later backups lost'],
];

type Candidate = Pick<Backup, 'label' | 'state' | 'systemIdentifier'>;

/**
 * Which backups stay and which go, each with its reason, newest first. Pure: `backups` are all of one repository and one engine. Order is by
 * label, so by the clock that named them; no decision looks at the clock of now, which may be wrong by years. Each cluster is judged by
 * itself: the backups of a new, perhaps empty one never push out those of the one it replaced.
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
const isGood = ({ state }: Pick<Backup, 'state'>): boolean => state !== 'damaged';

function planCluster(backups: readonly Candidate[], policy: RetentionPolicy): RetentionDecision[] {
  const newestFirst = [...backups].sort(newerFirst);
  const totalGood = newestFirst.filter(isGood).length;
  const newestProven = newestFirst.find(({ state }) => state === 'proven')?.label;
  return newestFirst.map((backup, index) => {
    const facts: Facts = {
      justMade: backup.label === policy.justMade,
      newerGood: newestFirst.slice(0, index).filter(isGood).length,
      totalGood,
      good: isGood(backup),
      newestProven: backup.label === newestProven,
      last: Math.max(policy.last, 1),
    };
    const [, keep, because] = rules.find(([when]) => when(facts))!; // The last rule always matches.
    return { label: backup.label, keep, because: because(facts) };
  });
}

import type { Answer } from './remedies.ts';
import type { Strategy } from './report.ts';

export type Decision = 'initialize' | 'start' | Strategy | 'refuse';

export interface Facts {
  readonly state: 'empty' | 'foreign' | 'unfinished' | 'cluster';
  /** The answers to all findings. */
  readonly answers: ReadonlySet<Answer>;
  /** The newest good backup's label, if there is one for this major. */
  readonly backup: string | undefined;
  /** The WAL from that backup to the end is here, so restoring it loses nothing. */
  readonly rollsForward: boolean;
  /** A standby, or a recovery from an archive: another server has what this one lacks. */
  readonly follows: boolean;
  /** How often the data was replaced within the last hour. */
  readonly replacements: number;
  readonly maxReplacements: number;
  readonly allow: readonly Strategy[];
  /** A person's choice; undefined lets the ladder decide. */
  readonly wish: Strategy | undefined;
}

type LadderRow = readonly [when: (facts: Facts) => boolean, decision: Decision, because: string];
const asks = (answer: Answer) => (facts: Facts) => facts.answers.has(answer);
const repairs: readonly Answer[] = [
  'make-directory',
  'make-empty-file',
  'mend-permissions',
  'restore-configuration',
  'rewrite-version-file',
  'set-aside-file',
  'set-aside-slot',
  'bring-back-kept-file',
  'bring-back-from-backup',
  'rebuild-catalog-index',
  'reset-wal',
];
const asksRepair = ({ answers }: Facts): boolean => repairs.some((repair) => answers.has(repair));
const mustReplace = (facts: Facts): boolean => facts.state === 'cluster' && facts.answers.has('replace');

/** First match wins: what is not ours, a person's wish, a first boot, the circuit breaker, what replaces data, what mends it, what harms nothing. */
export const ladder: readonly LadderRow[] = [
  [({ state }) => state === 'foreign', 'refuse', 'the directory holds something that is not PostgreSQL’s'],
  [asks('refuse'), 'refuse', 'this is not corruption, and starting would not help'],
  [({ wish, backup }) => wish === 'restore' && backup === undefined, 'refuse', 'there is no good backup to restore'],
  [({ wish }) => wish === 'restore', 'restore', 'a person asked for the newest backup'],
  [({ wish }) => wish === 'reinitialize', 'reinitialize', 'a person asked to start anew'],
  [(facts) => facts.wish === 'repair' && mustReplace(facts), 'refuse', 'what is damaged cannot be repaired in place'],
  [
    ({ state, backup, allow }) => state === 'empty' && backup !== undefined && allow.includes('restore'),
    'restore',
    'the directory is empty and a good backup exists',
  ],
  [({ state }) => state === 'empty', 'initialize', 'the directory is empty: a first boot'],
  [({ state }) => state === 'unfinished', 'initialize', 'an initialisation was interrupted before it held any data'],
  [(facts) => mustReplace(facts) && facts.follows, 'refuse', 'this server follows another one, which has what is damaged here'],
  [
    (facts) => mustReplace(facts) && facts.replacements >= facts.maxReplacements,
    'refuse',
    'the data was replaced too often within the last hour; a person must look',
  ],
  [
    (facts) => mustReplace(facts) && facts.backup !== undefined && facts.allow.includes('restore'),
    'restore',
    'the damage cannot be repaired in place, and a good backup exists',
  ],
  [
    (facts) => mustReplace(facts) && facts.allow.includes('reinitialize'),
    'reinitialize',
    'the damage cannot be repaired in place, and there is no backup to restore',
  ],
  [mustReplace, 'refuse', 'the damage cannot be repaired in place, and replacing the data is not allowed here'],
  [
    (facts) =>
      facts.answers.has('serve') &&
      facts.backup !== undefined &&
      facts.rollsForward &&
      facts.allow.includes('restore') &&
      facts.replacements < facts.maxReplacements,
    'restore',
    'a file is damaged, and the backup with the WAL since then holds every row',
  ],
  [
    (facts) => asksRepair(facts) && facts.wish !== 'repair' && !facts.allow.includes('repair'),
    'refuse',
    'a repair in place would mend it, but repairs are not allowed here',
  ],
  [asksRepair, 'repair', 'each finding has exactly one right answer'],
  [asks('serve'), 'start', 'the server can run; what is damaged is reported, and every other row is there'],
  [() => true, 'start', 'sound, perhaps after a crash: PostgreSQL replays its own WAL'],
];

/** Which rung of the ladder, with the reason. */
export function planRecovery(facts: Facts): { readonly decision: Decision; readonly because: string } {
  const [, decision, because] = ladder.find(([when]) => when(facts))!; // The last row always matches.
  return { decision, because };
}

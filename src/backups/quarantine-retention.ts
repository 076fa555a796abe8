import { parseLabel } from '../kernel/labels.ts';
import { decide, fill, type Row } from '../kernel/reasons.ts';
import type { RetentionDecision } from './backup.ts';

export interface QuarantinePolicy {
  readonly last: number;
  readonly minAgeMs: number;
  readonly now: Date;
  /** The paths that reports still point to. */
  readonly reported: ReadonlySet<string>;
}

/** Data that was set aside: its label, and the folder it lies in. */
export interface Quarantined {
  readonly label: string;
  readonly path: string;
}

export interface QuarantineFacts {
  readonly reported: boolean;
  readonly newer: number;
  readonly ageMs: number;
  readonly last: number;
  readonly minAgeMs: number;
  /** `minAgeMs` for people. */
  readonly minAgeDays: number;
}

const DAY_MS = 86_400_000;
type Rule = Row<QuarantineFacts, 'keep' | 'expire'>;

/** First match wins. A wrong clock may age what is there, but the newest stay in any case. */
const rows = [
  { id: 'report-points-to-it', when: ({ reported }) => reported, then: 'keep', words: 'the last recovery report points to it' },
  { id: 'one-of-the-newest-aside', when: ({ newer, last }) => newer < last, then: 'keep', words: 'it is one of the newest {last}' },
  {
    id: 'dated-in-the-future',
    when: ({ ageMs }) => ageMs < 0,
    then: 'keep',
    words: 'it is dated in the future; until then it sorts as newest',
  },
  {
    id: 'too-young-to-expire',
    when: ({ ageMs, minAgeMs }) => ageMs < minAgeMs,
    then: 'keep',
    words: 'it is younger than {minAgeDays} days',
  },
  { id: 'old-enough', when: () => true, then: 'expire', words: 'newer ones: {newer}, and it is old enough' },
] as const satisfies readonly Rule[];

export type QuarantineRule = (typeof rows)[number]['id'];
export const quarantineRules: readonly (Rule & { readonly id: QuarantineRule })[] = rows;

/** Which of one folder's quarantined data stays and which goes, newest first. Pure; what dbkit did not name is not judged at all. */
export function planQuarantine(found: readonly Quarantined[], policy: QuarantinePolicy): (RetentionDecision & Quarantined)[] {
  return [...found]
    .filter(({ label }) => parseLabel(label) !== undefined)
    .sort((a, b) => timeOf(b) - timeOf(a) || b.label.localeCompare(a.label))
    .map((entry, newer) => {
      const { last, minAgeMs } = policy;
      const minAgeDays = Math.round((minAgeMs / DAY_MS) * 10) / 10;
      const facts = {
        reported: policy.reported.has(entry.path),
        newer,
        ageMs: policy.now.getTime() - timeOf(entry),
        last,
        minAgeMs,
        minAgeDays,
      };
      const { id, then, words } = decide(quarantineRules, facts);
      return { ...entry, keep: then === 'keep', reason: id, because: fill(words, facts) };
    });
}

const timeOf = ({ label }: Quarantined): number => parseLabel(label)!.at.getTime();

/** Retention for data that was set aside; `reported` paths stay. */
export type ExpireQuarantined = (
  options: { readonly dryRun: boolean; readonly reported: ReadonlySet<string> },
  signal: AbortSignal,
) => Promise<readonly (RetentionDecision & Quarantined)[]>;

import { parseLabel } from '../kernel/labels.ts';
import type { RetentionDecision } from './backup.ts';

export interface QuarantinePolicy {
  readonly last: number;
  readonly minAgeMs: number;
  readonly now: Date;
  /** What reports still point to. */
  readonly reported: ReadonlySet<string>;
}

/** Data that was set aside: its label, and the folder it lies in. */
export interface Quarantined {
  readonly label: string;
  readonly path: string;
}

interface Facts {
  readonly reported: boolean;
  readonly newer: number;
  readonly ageMs: number;
  readonly policy: QuarantinePolicy;
}

const DAY_MS = 86_400_000;

/** First match wins. A wrong clock may age what is there, but the newest stay in any case. */
const rules: readonly [when: (facts: Facts) => boolean, keep: boolean, because: (facts: Facts) => string][] = [
  [({ reported }) => reported, true, () => 'the last recovery report points to it'],
  [({ newer, policy }) => newer < policy.last, true, ({ policy }) => `it is one of the newest ${policy.last}`],
  [({ ageMs }) => ageMs < 0, true, () => 'its time lies in the future'],
  [
    ({ ageMs, policy }) => ageMs < policy.minAgeMs,
    true,
    ({ policy }) => `it is younger than ${Math.round((policy.minAgeMs / DAY_MS) * 10) / 10} days`,
  ],
  [() => true, false, ({ newer }) => `${newer} newer ones exist, and it is old enough`],
];

/** Which of one folder's quarantined data stays and which goes, newest first. Pure; what dbkit did not name is not judged at all. */
export function planQuarantine(found: readonly Quarantined[], policy: QuarantinePolicy): (RetentionDecision & Quarantined)[] {
  return [...found]
    .filter(({ label }) => parseLabel(label) !== undefined)
    .sort((a, b) => timeOf(b) - timeOf(a) || b.label.localeCompare(a.label))
    .map((entry, newer) => {
      const facts = { reported: policy.reported.has(entry.path), newer, ageMs: policy.now.getTime() - timeOf(entry), policy };
      const [, keep, because] = rules.find(([when]) => when(facts))!; // The last rule always matches.
      return { ...entry, keep, because: because(facts) };
    });
}

const timeOf = ({ label }: Quarantined): number => parseLabel(label)!.at.getTime();

/** Retention for data that was set aside; `reported` paths stay. */
export type ExpireQuarantined = (
  options: { readonly dryRun: boolean; readonly reported: ReadonlySet<string> },
  signal: AbortSignal,
) => Promise<readonly (RetentionDecision & Quarantined)[]>;

import { fill } from '../../kernel/reasons.ts';
import type { DrillTargets } from './drills.ts';

/** Figures of one trial; seconds. */
export interface Measured {
  /** The longest time without an acknowledged commit since the disaster, by address. */
  readonly rtoSeconds: Readonly<Record<string, number>>;
  readonly ackedRows: number;
  /** Rows that a client was told are there, and that are not. */
  readonly lostRows: number;
  readonly errors: number;
  /** Proven by answers: for how long two servers took writes at the same time. */
  readonly twoWritableSeconds: number;
  /** null: it did not come about. */
  readonly redundantSeconds: number | null;
}

interface MissRow {
  readonly id: string;
  readonly when: (measured: Measured, targets: DrillTargets) => boolean;
  readonly then: 'fail';
  readonly words: string;
}

const slowest = ({ rtoSeconds }: Measured): number => Math.max(0, ...Object.values(rtoSeconds));

/** Every row that matches is a target that was missed. */
export const missRows = [
  { id: 'drill-lost-rows', when: ({ lostRows }) => lostRows > 0, then: 'fail', words: '{lostRows} acknowledged rows are gone' },
  {
    id: 'drill-two-writable',
    when: (measured, targets) => measured.twoWritableSeconds > targets.twoWritableSeconds,
    then: 'fail',
    words: 'two servers took writes at the same time for {twoWritableSeconds} s',
  },
  {
    id: 'drill-slow',
    when: (measured, targets) => slowest(measured) > targets.rtoSeconds,
    then: 'fail',
    words: 'no commit was acknowledged for {slowest} s, and {target} s is the target',
  },
  {
    id: 'drill-errors',
    when: ({ errors }, targets) => targets.errors !== null && errors > targets.errors,
    then: 'fail',
    words: 'clients saw {errors} errors',
  },
  {
    id: 'drill-not-redundant',
    when: ({ redundantSeconds }, targets) => redundantSeconds === null || redundantSeconds > targets.redundantSeconds,
    then: 'fail',
    words: 'not every member was back within {redundantTarget} s',
  },
] as const satisfies readonly MissRow[];

export type MissId = (typeof missRows)[number]['id'];

/** A target that was missed. */
export interface Miss {
  readonly id: string;
  readonly words: string;
}

export const missesOf = (measured: Measured, targets: DrillTargets): readonly Miss[] =>
  missRows
    .filter(({ when }) => when(measured, targets))
    .map(({ id, words }) => {
      const facts = { ...measured, slowest: slowest(measured), target: targets.rtoSeconds, redundantTarget: targets.redundantSeconds };
      return { id, words: fill(words, facts) };
    });

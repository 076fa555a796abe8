import { formatLsn, type Lsn } from '../formats/wal-segment.ts';
import type { Loss } from './losses.ts';

/** The facts that are known once the server is up, of how far it should have come and how far it came. */
export interface ShortfallFacts {
  /** It follows another server, which has what is missing here. */
  readonly follows: boolean;
  /** The server had been shut down cleanly, so it replayed nothing. */
  readonly wasClean: boolean;
  /** It is a copy that was restored and recovers for the first time: what that lacks was told then. */
  readonly isRestored: boolean;
  /** Where it went on: its last shutdown checkpoint, or the checkpoint that ends a crash recovery. */
  readonly wentOnAt: Lsn;
  readonly timeline: number;
  /** The mark of this very cluster. */
  readonly mark: { readonly timeline: number; readonly lastRecordLsn: Lsn; readonly flushedLsn: Lsn; readonly at: string } | undefined;
  /** The mark is of this very clean stop, the inventory that was written with it is gone, and there are no checksums: nothing proves the files. */
  readonly isUnproven: boolean;
  /** After a crash: segments behind the end of the WAL were cut or missing. */
  readonly isTailTorn: boolean;
  /** The end of WAL that was brought from the archive, and was the last that there is. */
  readonly broughtUpTo: Lsn | undefined;
  /** WAL of this cluster behind a gap, seen before the start. */
  readonly behindGap:
    | { readonly end: Lsn; readonly commits: number; readonly firstAt: string | null; readonly lastAt: string | null }
    | undefined;
}

export type Shortfall =
  | { readonly kind: 'none' }
  | { readonly kind: 'unknown'; readonly why: 'no-mark' | 'no-state' | 'torn-tail' }
  | { readonly kind: 'window'; readonly fromLsn: Lsn; readonly toLsn: Lsn | undefined; readonly until: string | null };

interface Row {
  readonly id: string;
  readonly when: (facts: ShortfallFacts) => boolean;
  readonly then: (facts: ShortfallFacts) => Shortfall;
  readonly words: string;
}

const none = (): Shortfall => ({ kind: 'none' });
/** The record that the mark names was not replayed: at its place the server went on, or before it. */
const endsBefore = ({ wasClean, wentOnAt }: ShortfallFacts, lastRecordLsn: Lsn): boolean =>
  wasClean ? lastRecordLsn > wentOnAt : lastRecordLsn >= wentOnAt;

/** First match wins. Whether the server came as far as it once was. */
export const shortfalls: readonly Row[] = [
  { id: 'follows-another', when: ({ follows }) => follows, then: none, words: 'it follows another server, which has what is missing here' },
  {
    id: 'behind-a-gap',
    when: ({ behindGap, wentOnAt }) => behindGap !== undefined && behindGap.end > wentOnAt,
    then: ({ behindGap, wentOnAt, mark }) => ({
      kind: 'window',
      fromLsn: wentOnAt,
      toLsn: mark && mark.flushedLsn > behindGap!.end ? mark.flushedLsn : behindGap!.end,
      until: behindGap!.lastAt ?? mark?.at ?? null,
    }),
    words: 'WAL is missing in the middle: what lies behind the gap was not replayed',
  },
  {
    id: 'no-mark-after-a-crash',
    when: ({ mark, wasClean, isRestored }) => mark === undefined && !wasClean && !isRestored,
    then: () => ({ kind: 'unknown', why: 'no-mark' }),
    words: 'no mark tells how far the WAL had come before the crash',
  },
  { id: 'no-mark', when: ({ mark }) => mark === undefined, then: none, words: 'it was shut down cleanly, and no mark says more' },
  {
    id: 'another-timeline',
    when: ({ mark, timeline }) => mark!.timeline !== timeline,
    then: none,
    words: 'the mark is of another timeline',
  },
  {
    id: 'short-of-the-mark',
    when: (facts) => endsBefore(facts, facts.mark!.lastRecordLsn),
    then: ({ wentOnAt, mark }) => ({ kind: 'window', fromLsn: wentOnAt, toLsn: mark!.flushedLsn, until: mark!.at }),
    words: 'recovery ended before the mark, so commits behind its end are missing',
  },
  {
    id: 'ends-in-the-archive',
    when: ({ broughtUpTo }) => broughtUpTo !== undefined,
    then: ({ broughtUpTo }) => ({ kind: 'window', fromLsn: broughtUpTo!, toLsn: undefined, until: null }),
    words: 'the last WAL was the archive’s, and what was written behind it is not known',
  },
  {
    id: 'torn-tail',
    when: ({ isTailTorn, wasClean }) => isTailTorn && !wasClean,
    then: () => ({ kind: 'unknown', why: 'torn-tail' }),
    words: 'it came as far as the mark, and segments that were there behind it are cut or missing',
  },
  {
    id: 'no-inventory-after-a-stop',
    when: ({ isUnproven }) => isUnproven,
    then: () => ({ kind: 'unknown', why: 'no-state' }),
    words: 'nothing tells what the files were at the last clean stop',
  },
  { id: 'came-to-the-mark', when: () => true, then: none, words: 'it came as far as the mark' },
];

export function shortfallOf(facts: ShortfallFacts): Shortfall {
  return shortfalls.find(({ when }) => when(facts))!.then(facts); // The last row always matches.
}

/** As the report carries it. */
export function shortfallLoss(shortfall: Exclude<Shortfall, { kind: 'none' }>): Loss {
  if (shortfall.kind === 'unknown') return { kind: 'unknown', reason: shortfall.why, oldBytes: null };
  const { fromLsn, toLsn, until } = shortfall;
  return {
    kind: 'window',
    after: null,
    afterLsn: formatLsn(fromLsn),
    upTo: until,
    upToLsn: toLsn === undefined ? null : formatLsn(toLsn),
    oldBytes: null,
  };
}

import { decide, fill, type Row } from '../kernel/reasons.ts';
import { bytes } from '../kernel/units.ts';

export interface LogFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** The server, or dbkit, writes to it now. */
  readonly isCurrent: boolean;
}

export type LogAction = 'keep' | 'remove' | 'rotate';

export interface LogDecision {
  readonly name: string;
  readonly sizeBytes: number;
  readonly action: LogAction;
  /** The row's id. */
  readonly reason: LogRule;
  readonly because: string;
}

export interface LogPolicy {
  readonly maxAgeMs: number;
  readonly maxSizeBytes: number;
  readonly nowMs: number;
}

export interface LogFacts extends Pick<LogFile, 'sizeBytes' | 'isCurrent'>, Pick<LogPolicy, 'maxAgeMs' | 'maxSizeBytes'> {
  /** Since somebody last wrote to it. */
  readonly ageMs: number;
  /** The newer ones that stay, together. */
  readonly keptBytes: number;
}

/** A log in use that is larger than this part of all is begun anew. */
const CURRENT_PART = 0.25;
const DAY_MS = 86_400_000;
type Rule = Row<LogFacts, LogAction>;

/** First match wins, newest first: the one in use stays, then as many as age and size allow. */
const rows = [
  {
    id: 'log-in-use-too-large',
    when: ({ isCurrent, sizeBytes, maxSizeBytes }) => isCurrent && sizeBytes > maxSizeBytes * CURRENT_PART,
    then: 'rotate',
    words: 'it is written to, and larger than a quarter of {limit}',
  },
  { id: 'log-in-use', when: ({ isCurrent }) => isCurrent, then: 'keep', words: 'it is written to' },
  {
    id: 'log-too-old',
    when: ({ ageMs, maxAgeMs }) => ageMs > maxAgeMs,
    then: 'remove',
    words: 'nothing was written to it for {days} days',
  },
  {
    id: 'logs-too-large',
    when: ({ keptBytes, sizeBytes, maxSizeBytes }) => keptBytes + sizeBytes > maxSizeBytes,
    then: 'remove',
    words: 'the newer ones take {kept} of {limit}',
  },
  { id: 'log-young-and-small', when: () => true, then: 'keep', words: 'it is young and small enough' },
] as const satisfies readonly Rule[];

export type LogRule = (typeof rows)[number]['id'];
export const logRules: readonly (Rule & { readonly id: LogRule })[] = rows;

/** The figures that the words name. */
export const logFigures = ({ ageMs, keptBytes, maxSizeBytes }: LogFacts): Readonly<Record<string, string | number>> => ({
  days: Math.floor(ageMs / DAY_MS),
  kept: bytes(keptBytes),
  limit: bytes(maxSizeBytes),
});

/** Which logs stay, newest first. Pure. */
export function planLogs(files: readonly LogFile[], { maxAgeMs, maxSizeBytes, nowMs }: LogPolicy): readonly LogDecision[] {
  let keptBytes = 0;
  const newestFirst = [...files].sort((a, b) => Number(b.isCurrent) - Number(a.isCurrent) || b.modifiedMs - a.modifiedMs);
  return newestFirst.map(({ name, sizeBytes, modifiedMs, isCurrent }): LogDecision => {
    const facts = { sizeBytes, isCurrent, ageMs: nowMs - modifiedMs, keptBytes, maxAgeMs, maxSizeBytes };
    const { id, then, words } = decide(logRules, facts);
    if (then === 'keep' && !isCurrent) keptBytes += sizeBytes;
    return { name, sizeBytes, action: then, reason: id, because: fill(words, logFigures(facts)) };
  });
}

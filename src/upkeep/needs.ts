import { bytes } from '../kernel/units.ts';

/** What a table tells about itself (pg_stat_user_tables, pg_class). */
export interface TableFacts {
  readonly database: string;
  /** Quoted where SQL needs it, with its schema. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly liveRows: number;
  readonly deadRows: number;
  readonly changedRows: number;
  readonly isAnalyzed: boolean;
  /** How far its oldest transaction is on the way to a forced vacuum, in percent. */
  readonly agePercent: number;
}

/** What an index tells (pg_index, pg_class, pg_stats). */
export interface IndexFacts {
  readonly database: string;
  readonly name: string;
  readonly table: string;
  readonly sizeBytes: number;
  readonly isValid: boolean;
  /** What a concurrent rebuild that was cut off has left: NAME_ccnew, NAME_ccold. */
  readonly isLeftover: boolean;
  /** The size that its rows would need; null where that cannot be estimated. */
  readonly neededBytes: number | null;
}

export type Chore = 'vacuum' | 'analyze' | 'reindex';

/** One statement that would help, and how much: bytes that come back, or that are read in vain meanwhile. */
export interface Need {
  readonly chore: Chore;
  readonly database: string;
  readonly target: string;
  readonly sizeBytes: number;
  readonly benefitBytes: number;
  readonly because: string;
  readonly statement: string;
}

const percent = (part: number, whole: number): number => (whole <= 0 ? 0 : (100 * part) / whole);
const deadPercent = ({ deadRows, liveRows }: TableFacts): number => percent(deadRows, deadRows + liveRows);
const figure = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
/** Small tables are vacuumed by autovacuum in no time, and small indexes are never worth a rebuild. */
const DEAD_ROWS_MIN = 1_000;
const BLOAT_BYTES_MIN = 8 * 1024 * 1024;

type Row<Facts> = readonly [
  when: (facts: Facts) => boolean,
  chore: Chore,
  benefitBytes: (facts: Facts) => number,
  because: (facts: Facts) => string,
];

/** First match wins for a table: a vacuum analyzes it too. */
export const tableNeeds: readonly Row<TableFacts>[] = [
  [
    ({ agePercent }) => agePercent >= 90,
    'vacuum',
    ({ sizeBytes }) => sizeBytes,
    ({ agePercent }) => `it is ${figure(agePercent)} % of the way to a forced vacuum`,
  ],
  [
    (facts) => facts.deadRows >= DEAD_ROWS_MIN && deadPercent(facts) >= 10,
    'vacuum',
    (facts) => (facts.sizeBytes * deadPercent(facts)) / 100,
    (facts) => `${figure(deadPercent(facts))} % of its rows are dead (${facts.deadRows})`,
  ],
  [
    ({ isAnalyzed, liveRows, sizeBytes }) => !isAnalyzed && (liveRows > 0 || sizeBytes > 0),
    'analyze',
    ({ sizeBytes }) => sizeBytes / 10,
    () => 'it was never analyzed: plans are guesses',
  ],
  [
    ({ changedRows, liveRows }) => changedRows >= DEAD_ROWS_MIN && percent(changedRows, liveRows) >= 20,
    'analyze',
    ({ sizeBytes, changedRows, liveRows }) => (sizeBytes / 10) * Math.min(1, changedRows / Math.max(1, liveRows)),
    ({ changedRows }) => `${changedRows} rows have changed since it was analyzed`,
  ],
];

/** The same for an index. One that is invalid is written to by every change and read by nobody. */
export const indexNeeds: readonly Row<IndexFacts>[] = [
  [
    ({ isLeftover, isValid }) => isLeftover && !isValid,
    'reindex',
    ({ sizeBytes }) => Math.max(sizeBytes, BLOAT_BYTES_MIN),
    () => 'a rebuild that was cut off has left it: written to by every change, and of no use',
  ],
  [
    ({ isValid }) => !isValid,
    'reindex',
    ({ sizeBytes }) => Math.max(sizeBytes, BLOAT_BYTES_MIN),
    () => 'it is invalid: written to by every change, and of no use',
  ],
  [
    ({ neededBytes, sizeBytes }) =>
      neededBytes !== null && sizeBytes - neededBytes >= BLOAT_BYTES_MIN && percent(sizeBytes - neededBytes, sizeBytes) >= 50,
    'reindex',
    ({ neededBytes, sizeBytes }) => sizeBytes - neededBytes!,
    ({ neededBytes, sizeBytes }) => `about ${bytes(sizeBytes - neededBytes!)} of its ${bytes(sizeBytes)} are empty`,
  ],
];

/** What would help, the most first. Pure. */
export function needsOf(tables: readonly TableFacts[], indexes: readonly IndexFacts[]): readonly Need[] {
  const of = <Facts extends TableFacts | IndexFacts>(rows: readonly Row<Facts>[], facts: Facts, isLeftover: boolean): Need[] => {
    const row = rows.find(([when]) => when(facts));
    if (!row) return [];
    const [, chore, benefit, because] = row;
    const { database, name: target, sizeBytes } = facts;
    const statement = isLeftover ? dropLeftover(target) : statementFor(chore, target, 'index');
    return [{ chore, database, target, sizeBytes, benefitBytes: Math.round(benefit(facts)), because: because(facts), statement }];
  };
  return [
    ...tables.flatMap((table) => of(tableNeeds, table, false)),
    ...indexes.flatMap((index) => of(indexNeeds, index, index.isLeftover && !index.isValid)),
  ].sort((a, b) => b.benefitBytes - a.benefitBytes);
}

/** None of these keeps anybody from reading or writing: no FULL, and every rebuild is CONCURRENTLY. Autovacuum's own pace is set beside it. */
export function statementFor(chore: Chore, target: string, kind: 'table' | 'index'): string {
  if (chore === 'vacuum') return `VACUUM (ANALYZE) ${target}`;
  if (chore === 'analyze') return `ANALYZE ${target}`;
  return `REINDEX ${kind === 'table' ? 'TABLE' : 'INDEX'} CONCURRENTLY ${target}`;
}

export const dropLeftover = (index: string): string => `DROP INDEX CONCURRENTLY IF EXISTS ${index}`;

/** What became of one statement. */
export interface ChoreStep extends Need {
  readonly outcome: 'planned' | 'done' | 'skipped';
  /** Why it was skipped; null otherwise. */
  readonly why: string | null;
  readonly freedBytes: number;
  readonly durationMs: number;
}

export interface ChoreWish {
  readonly chore: Chore;
  /** Tables, 'schema.name' or as the search path finds them; none: whatever needs it. */
  readonly tables: readonly string[];
  /** Every table, whether it needs it or not. */
  readonly all: boolean;
  /** Undefined: every database. */
  readonly database: string | undefined;
  readonly dryRun: boolean;
}

/** Work on a running server that PostgreSQL would leave to a person. */
export interface Upkeep {
  /** Rejects with `service.unready` when the server does not let dbkit in. */
  needs(database: string | undefined, signal: AbortSignal): Promise<readonly Need[]>;
  /** What is locked for longer than the patience is skipped, and said. Rejects with `usage.invalid` for a table that there is not. */
  run(wish: ChoreWish, signal: AbortSignal): Promise<readonly ChoreStep[]>;
  checkpoint(signal: AbortSignal): Promise<{ readonly durationMs: number; readonly walBytes: number }>;
  /** What pg_amcheck complains about, a line each. Rejects with `program.missing` or `tool.failed` when it cannot look. */
  amcheck(signal: AbortSignal): Promise<readonly string[]>;
  /** With `onlyRemove` a log that is written to stays as it is: a volume that is full has no room for its copy. */
  pruneLogs(options: { readonly dryRun: boolean; readonly onlyRemove?: boolean }, signal: AbortSignal): Promise<LogsPruned>;
}

export interface LogsPruned {
  readonly folder: string;
  readonly decisions: readonly LogDecision[];
}

export interface LogFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** The server, or dbkit, writes to it now. */
  readonly isCurrent: boolean;
}

export interface LogDecision {
  readonly name: string;
  readonly sizeBytes: number;
  readonly action: 'keep' | 'remove' | 'rotate';
  readonly because: string;
}

export interface LogPolicy {
  readonly maxAgeMs: number;
  readonly maxSizeBytes: number;
  readonly nowMs: number;
}

/** A log in use that is larger than this part of all is begun anew. */
const CURRENT_PART = 0.25;

/** Newest first: what is written to stays, then as many as age and size allow. Pure. */
export function planLogs(files: readonly LogFile[], { maxAgeMs, maxSizeBytes, nowMs }: LogPolicy): readonly LogDecision[] {
  let kept = 0;
  const newestFirst = [...files].sort((a, b) => Number(b.isCurrent) - Number(a.isCurrent) || b.modifiedMs - a.modifiedMs);
  return newestFirst.map(({ name, sizeBytes, modifiedMs, isCurrent }): LogDecision => {
    const decided = (action: LogDecision['action'], because: string): LogDecision => ({ name, sizeBytes, action, because });
    if (isCurrent && sizeBytes > maxSizeBytes * CURRENT_PART)
      return decided('rotate', `it is written to, and larger than a quarter of ${bytes(maxSizeBytes)}`);
    if (isCurrent) return decided('keep', 'it is written to');
    if (nowMs - modifiedMs > maxAgeMs)
      return decided('remove', `nothing was written to it for ${Math.floor((nowMs - modifiedMs) / 86_400_000)} days`);
    if (kept + sizeBytes > maxSizeBytes) return decided('remove', `the newer ones take ${bytes(kept)} of ${bytes(maxSizeBytes)}`);
    kept += sizeBytes;
    return decided('keep', 'young and small enough');
  });
}

/** One chore as `dbkit maintenance CHORE` reports it. */
export interface ChoreReport {
  readonly chore: ChoreWish['chore'];
  readonly dryRun: boolean;
  readonly steps: readonly ChoreStep[];
}

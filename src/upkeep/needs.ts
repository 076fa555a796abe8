import { decide, fill } from '../kernel/reasons.ts';
import { bytes } from '../kernel/units.ts';

/** The facts of a table (pg_stat_user_tables, pg_class). */
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

/** The facts of an index (pg_index, pg_class, pg_stats). */
export interface IndexFacts {
  readonly database: string;
  readonly name: string;
  readonly table: string;
  readonly sizeBytes: number;
  readonly isValid: boolean;
  /** The index that a cut-off rebuild has left: NAME_ccnew, NAME_ccold. */
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
  /** The row's id. */
  readonly reason: NeedId;
  readonly because: string;
  readonly statement: string;
}

const percent = (part: number, whole: number): number => (whole <= 0 ? 0 : (100 * part) / whole);
const deadPercent = ({ deadRows, liveRows }: TableFacts): number => percent(deadRows, deadRows + liveRows);
const figure = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
/** Small tables are vacuumed by autovacuum in no time, and small indexes are never worth a rebuild. */
const DEAD_ROWS_MIN = 1_000;
const BLOAT_BYTES_MIN = 8 * 1024 * 1024;

/** One reason to help a table or an index. `then`: the chore; null: it needs nothing. `benefitBytes`: what comes back, or is read in vain meanwhile. */
interface NeedRow<Facts> {
  readonly id: string;
  readonly when: (facts: Facts) => boolean;
  readonly then: Chore | null;
  readonly benefitBytes: (facts: Facts) => number;
  readonly words: string;
}

/** First match wins for a table: a vacuum analyzes it too. */
const tableRows = [
  {
    id: 'wraparound-near',
    when: ({ agePercent }) => agePercent >= 90,
    then: 'vacuum',
    benefitBytes: ({ sizeBytes }) => sizeBytes,
    words: 'it is {agePercent} % of the way to a forced vacuum',
  },
  {
    id: 'dead-rows',
    when: (facts) => facts.deadRows >= DEAD_ROWS_MIN && deadPercent(facts) >= 10,
    then: 'vacuum',
    benefitBytes: (facts) => (facts.sizeBytes * deadPercent(facts)) / 100,
    words: '{deadPercent} % of its rows are dead ({deadRows})',
  },
  {
    id: 'never-analyzed',
    when: ({ isAnalyzed, liveRows, sizeBytes }) => !isAnalyzed && (liveRows > 0 || sizeBytes > 0),
    then: 'analyze',
    benefitBytes: ({ sizeBytes }) => sizeBytes / 10,
    words: 'it was never analyzed: plans are guesses',
  },
  {
    id: 'rows-changed',
    when: ({ changedRows, liveRows }) => changedRows >= DEAD_ROWS_MIN && percent(changedRows, liveRows) >= 20,
    then: 'analyze',
    benefitBytes: ({ sizeBytes, changedRows, liveRows }) => (sizeBytes / 10) * Math.min(1, changedRows / Math.max(1, liveRows)),
    words: '{changedRows} rows have changed since it was analyzed',
  },
  { id: 'table-is-well', when: () => true, then: null, benefitBytes: () => 0, words: 'it needs nothing' },
] as const satisfies readonly NeedRow<TableFacts>[];

/** The same for an index. One that is invalid is written to by every change and read by nobody. */
const indexRows = [
  {
    id: 'rebuild-cut-off',
    when: ({ isLeftover, isValid }) => isLeftover && !isValid,
    then: 'reindex',
    benefitBytes: ({ sizeBytes }) => Math.max(sizeBytes, BLOAT_BYTES_MIN),
    words: 'a rebuild that was cut off has left it: written to by every change, and of no use',
  },
  {
    id: 'index-invalid',
    when: ({ isValid }) => !isValid,
    then: 'reindex',
    benefitBytes: ({ sizeBytes }) => Math.max(sizeBytes, BLOAT_BYTES_MIN),
    words: 'it is invalid: written to by every change, and of no use',
  },
  {
    id: 'index-bloated',
    when: ({ neededBytes, sizeBytes }) =>
      neededBytes !== null && sizeBytes - neededBytes >= BLOAT_BYTES_MIN && percent(sizeBytes - neededBytes, sizeBytes) >= 50,
    then: 'reindex',
    benefitBytes: ({ neededBytes, sizeBytes }) => sizeBytes - neededBytes!,
    words: 'about {empty} of its {size} are empty',
  },
  { id: 'index-is-well', when: () => true, then: null, benefitBytes: () => 0, words: 'it needs nothing' },
] as const satisfies readonly NeedRow<IndexFacts>[];

export type TableNeedId = (typeof tableRows)[number]['id'];
export type IndexNeedId = (typeof indexRows)[number]['id'];
/** 'asked-for': a person named the table. */
export type NeedId = TableNeedId | IndexNeedId | 'asked-for';
export const tableNeeds: readonly (NeedRow<TableFacts> & { readonly id: TableNeedId })[] = tableRows;
export const indexNeeds: readonly (NeedRow<IndexFacts> & { readonly id: IndexNeedId })[] = indexRows;

/** The figures that the words name. */
export const tableFigures = (facts: TableFacts): Readonly<Record<string, string | number>> => ({
  agePercent: figure(facts.agePercent),
  deadPercent: figure(deadPercent(facts)),
  deadRows: facts.deadRows,
  changedRows: facts.changedRows,
});
export const indexFigures = ({ sizeBytes, neededBytes }: IndexFacts): Readonly<Record<string, string | number>> => ({
  empty: bytes(sizeBytes - (neededBytes ?? sizeBytes)),
  size: bytes(sizeBytes),
});

/** The statements that would help, the most useful first. Pure. */
export function needsOf(tables: readonly TableFacts[], indexes: readonly IndexFacts[]): readonly Need[] {
  const ofTable = (facts: TableFacts): Need[] => {
    const { id, then, benefitBytes, words } = decide(tableNeeds, facts);
    if (then === null) return [];
    const statement = statementFor(then, facts.name, 'table');
    return [needOf(facts, { chore: then, reason: id, benefit: benefitBytes(facts), because: fill(words, tableFigures(facts)), statement })];
  };
  const ofIndex = (facts: IndexFacts): Need[] => {
    const { id, then, benefitBytes, words } = decide(indexNeeds, facts);
    if (then === null) return [];
    const statement = id === 'rebuild-cut-off' ? dropLeftover(facts.name) : statementFor(then, facts.name, 'index');
    return [needOf(facts, { chore: then, reason: id, benefit: benefitBytes(facts), because: fill(words, indexFigures(facts)), statement })];
  };
  return [...tables.flatMap(ofTable), ...indexes.flatMap(ofIndex)].sort((a, b) => b.benefitBytes - a.benefitBytes);
}

const needOf = (
  { database, name: target, sizeBytes }: TableFacts | IndexFacts,
  { benefit, ...rest }: Pick<Need, 'chore' | 'reason' | 'because' | 'statement'> & { readonly benefit: number },
): Need => ({ database, target, sizeBytes, benefitBytes: Math.round(benefit), ...rest });

/** None of these keeps anybody from reading or writing: no FULL, and every rebuild is CONCURRENTLY. Autovacuum's own pace is set beside it. */
export function statementFor(chore: Chore, target: string, kind: 'table' | 'index'): string {
  if (chore === 'vacuum') return `VACUUM (ANALYZE) ${target}`;
  if (chore === 'analyze') return `ANALYZE ${target}`;
  return `REINDEX ${kind === 'table' ? 'TABLE' : 'INDEX'} CONCURRENTLY ${target}`;
}

export const dropLeftover = (index: string): string => `DROP INDEX CONCURRENTLY IF EXISTS ${index}`;

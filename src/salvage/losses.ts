import type { DatabaseRead, TableFound } from './read-databases.ts';
import type { SalvagedTable } from './report.ts';

type Zeroed = ReadonlyMap<string, ReadonlySet<number>>;

/** Rows that are lost, over all rounds of reading: a later one no longer sees the rows that an earlier one has taken out. */
export function createLosses() {
  const earlier = new Map<string, Pick<TableFound, 'rowsLost' | 'wiped' | 'because' | 'missing'>>();
  const constraints = new Set<string>();
  const keyOf = ({ database, table }: Pick<TableFound, 'database' | 'table'>): string => JSON.stringify([database, table]);
  return {
    add(databases: readonly DatabaseRead[]): void {
      for (const words of databases.flatMap((database) => database.constraints)) constraints.add(words);
      for (const table of databases.flatMap(({ tables }) => tables)) {
        const before = earlier.get(keyOf(table));
        earlier.set(keyOf(table), {
          rowsLost: (before?.rowsLost ?? 0) + table.rowsLost,
          wiped: (before?.wiped ?? 0) + table.wiped,
          because: before?.because ?? table.because,
          missing: Math.max(before?.missing ?? 0, table.missing),
        });
      }
    },
    constraints: (): string[] => [...constraints],
    /** `gone`: relations whose files are missing; `empty`: pages that hold nothing at all; both by path. */
    tables: (
      databases: readonly DatabaseRead[],
      { zeroed, gone, empty }: { readonly zeroed: Zeroed; readonly gone: ReadonlySet<string>; readonly empty: ReadonlyMap<string, number> },
    ): SalvagedTable[] =>
      databases.flatMap(({ tables }) =>
        tables.map((found): SalvagedTable => {
          const { database, table, rows } = found;
          const { rowsLost, wiped, because, missing } = earlier.get(keyOf(found))!;
          const damaged = found.paths.reduce((sum, path) => sum + (zeroed.get(path)?.size ?? 0), 0);
          const shorter = missing > 0 ? `it is ${missing} pages shorter than when it was last vacuumed or analyzed` : null;
          const nothing = found.paths.reduce((sum, path) => sum + (empty.get(path) ?? 0), 0);
          const isEmpty = nothing > 0 ? `${nothing} pages within it hold nothing at all: they were never used, or zeroed` : null;
          const isGone = found.paths.some((path) => gone.has(path)) ? 'its file, or that of its values kept aside, is missing' : null;
          return {
            database,
            table,
            rows,
            rowsLost,
            pagesLost: damaged + wiped + missing,
            because: because ?? isGone ?? shorter ?? isEmpty,
          };
        }),
      ),
    /** In words, what is damaged beside the tables: large objects, definitions. Indexes hold nothing that their tables do not. */
    others: (databases: readonly DatabaseRead[], zeroed: Zeroed): string[] =>
      databases.flatMap(({ name, others, unread }) => [
        ...[...others].flatMap(([path, relation]) => {
          const pages = zeroed.get(path)?.size ?? 0;
          return pages > 0 ? [`${name}: ${pages} pages of ${relation} are damaged and were read as empty: what they held is lost`] : [];
        }),
        ...unread.map((words) => `${name}: ${words}`),
      ]),
  };
}

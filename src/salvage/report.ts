/** The rows that could be read of one table of a damaged cluster, and what could not. */
export interface SalvagedTable {
  readonly database: string;
  /** `schema.name`. */
  readonly table: string;
  readonly rows: number;
  /** Rows on sound pages that could not be read: their own bytes, or those kept aside for them (TOAST), are damaged. */
  readonly rowsLost: number;
  /** Pages of the table and of its TOAST table that hold no readable rows any more. */
  readonly pagesLost: number;
  /** In words, what else was wrong with it; null: nothing. */
  readonly because: string | null;
}

export interface SalvageReport {
  /** The damaged data; only read. */
  readonly source: string;
  /** The dump that holds what was read. */
  readonly label: string;
  readonly databases: readonly string[];
  readonly tables: readonly SalvagedTable[];
  /** Databases that let nobody in, with the server's words. */
  readonly unreachable: readonly { readonly database: string; readonly words: string }[];
  /** The assumptions that it took to read it at all: each a sentence for whoever decides how far to trust the result. */
  readonly assumptions: readonly string[];
  /** Constraints that what is left does not satisfy, and what became of them in the dump. */
  readonly constraints: readonly string[];
  readonly durationMs: number;
}

/** Which complaint of the server's is which kind of file, by its path within the cluster. */
export type MissingFile = { readonly kind: 'status'; readonly path: string } | { readonly kind: 'relation'; readonly path: string };

/**
 * Pure: the file that a server complains of, where something can take its place in a copy. Source of the words: slru.c (SlruReportIOError),
 * md.c (mdopenfork).
 */
export function missingFile(words: string): MissingFile | undefined {
  const status =
    /[Cc]ould not (?:open file|read from file|access status)[^"]*"((?:pg_xact|pg_multixact\/(?:offsets|members)|pg_subtrans|pg_commit_ts)\/[0-9A-F]+)"/.exec(
      words,
    );
  if (status) return { kind: 'status', path: status[1]! };
  const relation = /could not open file "((?:base\/\d+|global|pg_tblspc\/[^"]+)\/\d+)"/.exec(words);
  return relation ? { kind: 'relation', path: relation[1]! } : undefined;
}

/**
 * Pure: which pages a server has taken for empty, by relation path; from its own log (bufmgr.c, with zero_damaged_pages). Since PostgreSQL 18 a
 * session is told of neighbours together ("zeroing out 3 invalid pages among blocks 3..6"), and the log of each by itself too.
 */
export function zeroedPages(log: string): Map<string, Set<number>> {
  const pages = new Map<string, Set<number>>();
  for (const [, block, path] of log.matchAll(/invalid page in block (\d+) of relation "?([^;\s"]+)"?; zeroing out page/g)) {
    const known = pages.get(path!) ?? new Set<number>();
    known.add(Number(block));
    pages.set(path!, known);
  }
  return pages;
}

/** Reads what can be read out of damaged data, into a dump. Undefined: the newest that was set aside, else the stopped instance's own. */
export type Salvage = (source: string | undefined, signal: AbortSignal) => Promise<SalvageReport>;

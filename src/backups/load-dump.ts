import { DbkitError } from '../kernel/errors.ts';
import type { Dumps, FoundBackup, LoadRequest } from './backup.ts';

/** One database of a dump that was loaded. JSON; fields are only ever added. */
export interface LoadReport {
  readonly label: string;
  readonly database: string;
  /** The database that holds it now. */
  readonly into: string;
  /** Where the database went whose place it took; null when there was none. */
  readonly replaced: string | null;
  readonly tables: number;
  readonly rows: number;
  /** Objects that did not come back as they were, and why; the rows of every table did, unless it says so. */
  readonly missing: readonly { readonly what: string; readonly because: string }[];
  /** Tables that lack rows, or are not there, each in words: only of what came under a new name, and nothing was replaced by it. */
  readonly short: readonly string[];
  readonly durationMs: number;
}

/**
 * Loads one database of a dump into the running server. `mayReplace` is asked unless it goes under a new name. Rejects with `recovery.refused`
 * when the answer is no.
 */
export async function loadDump(
  { backup, of }: FoundBackup<Dumps>,
  request: LoadRequest,
  mayReplace: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<LoadReport> {
  if (request.into === undefined && !(await mayReplace()))
    throw new DbkitError('recovery.refused', 'nothing was changed: the restore was declined', {
      hint: '--into NAME restores it beside what is there',
    });
  return of.load(backup, request, signal);
}

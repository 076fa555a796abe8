import type { Snapshot } from './snapshot.ts';

/** JSON; fields are only ever added. */
export interface SavedReport extends Snapshot {
  /** Sessions of clients that were ended for the copy. */
  readonly endedSessions: number;
  readonly durationMs: number;
}

/** JSON; fields are only ever added. */
export interface RestoredReport {
  readonly name: string;
  /** The database that is as it was in the snapshot. */
  readonly database: string;
  /** The moment of the snapshot. */
  readonly at: string;
  /** The database that was there is whole under this name; null: there was none. */
  readonly replaced: string | null;
  /** Statements that a superuser runs in the database `postgres` to go back. */
  readonly undo: readonly string[];
  /** Properties of the database that could not be given again. */
  readonly missing: readonly { readonly what: string; readonly because: string }[];
  readonly endedSessions: number;
  readonly durationMs: number;
}

/** Copies of single databases in the running server. */
export interface Snapshots {
  /** `name` undefined: the moment. Rejects with `file.exists` for a name that is taken, else as the rows of snapshot-rows.ts say. */
  save(wish: { readonly database: string; readonly name: string | undefined }, signal: AbortSignal): Promise<SavedReport>;
  /** The newest first; `database` undefined: of all of them. */
  list(wish: { readonly database: string | undefined }, signal: AbortSignal): Promise<readonly Snapshot[]>;
  /** Rejects with `usage.invalid` when there is no such snapshot of this database, else as the rows of snapshot-rows.ts say. */
  restore(wish: { readonly database: string; readonly name: string }, signal: AbortSignal): Promise<RestoredReport>;
  /** Rejects with `usage.invalid` when there is no such snapshot of this database. */
  delete(wish: { readonly database: string; readonly name: string }, signal: AbortSignal): Promise<Snapshot>;
}

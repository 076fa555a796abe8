import type { RowsChange, SchemaChange } from './compare.ts';
import type { Snapshot } from './snapshot.ts';
import type { Turn } from './turn-rows.ts';

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

/** JSON; fields are only ever added. */
export interface TurnReport {
  readonly outcome: Turn;
  /** The row that decided; see `dbkit explain`. */
  readonly reason: string;
  readonly because: string;
  readonly database: string;
  readonly from: string | null;
  readonly to: string;
  /** Properties of the database that could not be given again. */
  readonly missing: RestoredReport['missing'];
  readonly endedSessions: number;
  readonly durationMs: number;
}

/** A database beside one of its snapshots. JSON; fields are only ever added. */
export interface DiffReport {
  readonly name: string;
  readonly database: string;
  /** The moment of the snapshot. */
  readonly at: string;
  /** No object and no number of rows differs; rows themselves are not compared. */
  readonly same: boolean;
  readonly schema: readonly SchemaChange[];
  /** Tables whose numbers of rows differ. */
  readonly rows: readonly RowsChange[];
  /** So many tables of the database were counted. */
  readonly tables: number;
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
  /** The database as it is now, beside the snapshot. Rejects with `usage.invalid` when there is no such snapshot, or no such database. */
  diff(wish: { readonly database: string; readonly name: string }, signal: AbortSignal): Promise<DiffReport>;
  /** Gives the branch that was checked out its own data. `left`: the branch that git left, for a database of which nobody knows it. */
  turn(wish: { readonly database: string; readonly to: string; readonly left: string | null }, signal: AbortSignal): Promise<TurnReport>;
  /** Says which branch the data of the database belongs to; null: nobody knows. */
  nameBranch(wish: { readonly database: string; readonly branch: string | null }, signal: AbortSignal): Promise<void>;
}

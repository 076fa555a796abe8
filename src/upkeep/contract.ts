import type { LogDecision } from './log-retention.ts';
import type { Chore, Need } from './needs.ts';

/** The result of one statement. */
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
  /** An object that is locked for longer than the patience is skipped, and said. Rejects with `usage.invalid` for a table that there is not. */
  run(wish: ChoreWish, signal: AbortSignal): Promise<readonly ChoreStep[]>;
  checkpoint(signal: AbortSignal): Promise<{ readonly durationMs: number; readonly walBytes: number }>;
  /** The complaints of pg_amcheck, a line each. Rejects with `program.missing` or `tool.failed` when it cannot look. */
  amcheck(signal: AbortSignal): Promise<readonly string[]>;
  /** With `onlyRemove` a log that is written to stays as it is: a volume that is full has no room for its copy. */
  pruneLogs(options: { readonly dryRun: boolean; readonly onlyRemove?: boolean }, signal: AbortSignal): Promise<LogsPruned>;
}

export interface LogsPruned {
  readonly folder: string;
  readonly decisions: readonly LogDecision[];
}

/** One chore as `dbkit maintenance CHORE` reports it. */
export interface ChoreReport {
  readonly chore: ChoreWish['chore'];
  readonly dryRun: boolean;
  readonly steps: readonly ChoreStep[];
}

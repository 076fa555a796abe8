import type { DrillCheck } from '../../backups/drill.ts';
import type { DrillKind } from '../../config/schedules.ts';
import type { Judged, Tier } from '../../config/tiers.ts';

/** A rehearsed disaster, as `dbkit drill` prints and keeps it; fields are only ever added. */
export interface GameDay {
  readonly kind: DrillKind;
  /** The moment that was taken for the disaster's. */
  readonly at: string;
  /** Everything that was tried has passed, and no target was missed. */
  readonly ok: boolean;
  /** The base backup that it came back from. */
  readonly label: string;
  /** 'repository', or the name of the copy elsewhere. */
  readonly source: string;
  readonly tier: Tier | null;
  /** From the moment on that the loss was known, until everything answered again. */
  readonly rto: Judged;
  /** The time whose rows were gone, at most. */
  readonly rpo: Judged;
  /** At most so many; null where the running server could not be asked. */
  readonly lostTransactions: number | null;
  /** In the copy that came back, after everything was read. */
  readonly rows: { readonly tables: number; readonly rows: number };
  readonly checks: readonly DrillCheck[];
  readonly durationMs: number;
}

/** Rehearsals on throw-away copies; the instance is not touched. */
export interface GameDays {
  /** Rejects only where nothing could be tried. */
  rehearse(
    kind: DrillKind,
    wish: { readonly copy: string | undefined; readonly lowPriority: boolean },
    signal: AbortSignal,
  ): Promise<GameDay>;
  /** Newest first. */
  history(): Promise<readonly GameDay[]>;
}

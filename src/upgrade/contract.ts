import type { MethodId, UpgradeMethod } from './methods.ts';
import type { ObstacleId } from './obstacles.ts';

export interface UpgradeRequest {
  /** The major to go to; undefined: that of the configured programs, else the newest that is installed. */
  readonly to: number | undefined;
  /** A folder with the old major's programs, where they are not in a usual place. */
  readonly oldBinDir: string | undefined;
  /** Undefined: pg_upgrade where it can be used, else a dump. */
  readonly method: UpgradeMethod | undefined;
  /** Go on although some objects do not come over; they are named. */
  readonly allowMissing: boolean;
}

/** One reason why it cannot be done now. */
export interface Obstacle {
  readonly reason: ObstacleId;
  readonly because: string;
  readonly next: string;
}

/** One upgrade: what it would do before, what it did after; what `--json` prints of both. */
export interface UpgradeReport {
  readonly done: boolean;
  readonly from: { readonly major: number | null; readonly programs: string | null };
  readonly to: { readonly major: number | null; readonly programs: string | null };
  /** Null where neither can be used. */
  readonly method: UpgradeMethod | null;
  readonly reason: MethodId;
  readonly because: string;
  /** pg_upgrade: whether files share their blocks with the old ones; null for a dump. */
  readonly transfer: 'clone' | 'copy' | null;
  /** Every reason why it cannot be done now; the catalogs are asked only when it begins. */
  readonly obstacles: readonly Obstacle[];
  readonly target: { readonly dataDir: string; readonly sizeBytes: number; readonly serverRuns: boolean };
  /** On the data's volume, without the backup. */
  readonly neededBytes: number;
  readonly freeBytes: number;
  readonly warnings: readonly string[];
  /** The pinned backup of the old cluster; null before. */
  readonly backup: string | null;
  /** Where the old cluster is, whole; null before. */
  readonly quarantine: string | null;
  /** Settings that the new major does not know or accept: they are commented out. */
  readonly settings: readonly { readonly name: string; readonly file: string; readonly because: string }[];
  readonly extensions: readonly { readonly database: string; readonly name: string; readonly from: string; readonly to: string }[];
  /** Objects that did not come over as they were. */
  readonly missing: readonly { readonly database: string; readonly what: string; readonly because: string }[];
  /** Compared between the old and the new cluster; null before. */
  readonly databases: number | null;
  readonly relations: number | null;
  readonly durationMs: number;
}

/** Takes the data of an instance to a newer major version. The old cluster stays whole, and a kill at any instant leaves one of the two. */
export interface Upgrade {
  /** Looks at the files, and touches nothing. */
  plan(request: UpgradeRequest, signal: AbortSignal): Promise<UpgradeReport>;
  /** A base backup of the old cluster: taken, read again, pinned. Its label. */
  backUp(report: UpgradeReport, signal: AbortSignal): Promise<string>;
  /** The server must be down. `backup`: the one that was taken while it ran; else one is taken now. */
  run(request: UpgradeRequest, backup: string | undefined, signal: AbortSignal): Promise<UpgradeReport>;
}

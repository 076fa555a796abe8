import type { Backup } from '../backups/backup.ts';
import type { HealthReport } from '../health/health.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { MonitorEvent, MonitorState } from './decide.ts';
import type { Sample } from './measurements.ts';

/** Everything that a monitor shows of an instance, at one moment. Nothing in it was asked of the server for the sake of showing it. */
export interface Picture {
  readonly now: Date;
  readonly host: string;
  /** The name of this place in alerts ('production'); null: it has no name. */
  readonly environment: string | null;
  readonly version: string;
  /** The last check; undefined before the first is done. */
  readonly check:
    | {
        readonly at: string;
        readonly health: HealthReport;
        readonly verdict: 'well' | 'unwell' | 'waiting' | 'failed';
        readonly because: string;
        readonly state: MonitorState;
        readonly events: readonly MonitorEvent[];
      }
    | undefined;
  /** Since the last check, or since the monitor began. */
  readonly quietMs: number;
  readonly intervalMs: number;
  /** The course of the last days, oldest first. */
  readonly samples: readonly Sample[];
  /** Newest first. */
  readonly backups: readonly Backup[];
  /** Newest first. */
  readonly recoveries: readonly RecoveryReport[];
  /** Disasters of a cluster that were rehearsed on this machine, newest first. */
  readonly drills: readonly Rehearsed[];
}

/** One trial of `dbkit ha drill`. */
export interface Rehearsed {
  readonly drill: string;
  /** On the real cluster. */
  readonly here?: boolean;
  /** RFC 3339. */
  readonly at: string;
  readonly passed: boolean;
  /** The longest time without an acknowledged commit, by address. */
  readonly rtoSeconds: Readonly<Record<string, number>>;
  readonly lostRows: number;
}

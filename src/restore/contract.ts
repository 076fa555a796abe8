import type { FoundBackup } from '../backups/backup.ts';
import type { PointPlan, PointRequest } from '../backups/base/points/point.ts';
import type { KnownDamage } from '../inspection/known-damage.ts';
import { incident } from '../recovery/incidents.ts';
import { type Loss, told } from '../recovery/losses.ts';
import type { RecoveryReport } from '../recovery/report.ts';

/** The data that is to take the place of today's data: a backup, or data that an earlier restore or undo had replaced. */
export interface RestoreRequest {
  readonly source: 'backup' | 'replaced';
  /** For 'replaced', 'latest' is the newest. */
  readonly label: string;
  /** Start the copy beside the data before it takes its place; undefined: when there is room for it. */
  readonly bootTest: boolean | undefined;
  /** Up to this moment, from the backup that serves it; with a label other than 'latest': from that one. */
  readonly point?: PointRequest | undefined;
  /** The backup itself, where whoever asks has found it already; it never leaves this process. */
  readonly found?: FoundBackup | undefined;
}

/** One replacement: what it would do before, what it did after; what `--json` prints of both. */
export interface RestoreReport {
  readonly done: boolean;
  readonly source: {
    readonly kind: 'backup' | 'replaced';
    readonly label: string;
    readonly path: string;
    readonly createdAt: string;
    readonly sizeBytes: number;
    readonly pgVersion: number;
    /** The worth of a backup; null for replaced data. */
    readonly state: string | null;
    readonly note: string | null;
  };
  readonly target: {
    readonly dataDir: string;
    /** Of what is there now. */
    readonly sizeBytes: number;
    /** Null where there is none, or its pg_control cannot be read. */
    readonly systemIdentifier: string | null;
    /** The data that is there now. */
    readonly state: 'empty' | 'cluster' | 'unfinished';
    readonly serverRuns: boolean;
    /** Where it went; null before, and when there was nothing. */
    readonly quarantine: string | null;
  };
  /** The moment that was asked for; null: as the backup holds the data. */
  readonly point: PointPlan | null;
  /** On the data's volume. */
  readonly neededBytes: number;
  readonly freeBytes: number;
  readonly bootTest: { readonly planned: boolean; readonly because: string; readonly databases: number | null };
  /** Warnings for a person; each one sentence. */
  readonly warnings: readonly string[];
  /** The moment the data is of afterwards. */
  readonly recoveredTo: string;
  readonly durationMs: number;
  /** How long no server answered; null before, and where no supervisor starts it again. */
  readonly downtimeMs: number | null;
}

/** The same for the history of recoveries: data was replaced, and a person asked for it. */
export function recoveryOf(report: RestoreReport, at: string): RecoveryReport {
  const { source, target, recoveredTo, durationMs } = report;
  const { quarantine, dataDir, sizeBytes, systemIdentifier } = target;
  const isBackup = source.kind === 'backup';
  const loss: Loss = isBackup
    ? { kind: 'since-backup', label: source.label, at: recoveredTo, oldBytes: quarantine }
    : { kind: 'window', after: recoveredTo, afterLsn: null, upTo: at, upToLsn: null, oldBytes: quarantine };
  const asked = incident(isBackup ? 'backup-asked-for' : 'undo-asked-for', { label: source.label });
  return {
    at,
    findings: [],
    decision: 'restore',
    ...asked,
    steps: [{ step: `${isBackup ? 'restore' : 'undo'} ${source.label}`, ...asked, done: true }],
    quarantine,
    ...told(target.state === 'empty' ? [] : [loss]),
    durationMs,
    trigger: 'person',
    target: { dataDir, sizeBytes, systemIdentifier },
  };
}

/** A complete cluster beside the data, ready to take its place. */
export interface StagedCluster {
  readonly report: RestoreReport;
  readonly directory: string;
  /** Damage that is known of it; undefined: of data that was replaced before nothing is known. */
  readonly knownDamage: readonly KnownDamage[] | undefined;
}

/** Replaces the data of an instance. Nothing that is replaced is deleted, and a kill at any instant is finished by the next run. */
export interface Restorer {
  /** Looks, and touches nothing. Rejects with the reason when it cannot be done. */
  plan(request: RestoreRequest, signal: AbortSignal): Promise<RestoreReport>;
  /** Everything that needs no downtime: copies, checks every hash, boots the copy. The server may run meanwhile. */
  stage(request: RestoreRequest, signal: AbortSignal): Promise<StagedCluster>;
  /** Swaps. The server must be down. */
  publish(staged: StagedCluster, signal: AbortSignal): Promise<RestoreReport>;
  /** Both under one lock, where no supervisor runs. */
  replace(request: RestoreRequest, signal: AbortSignal): Promise<RestoreReport>;
}

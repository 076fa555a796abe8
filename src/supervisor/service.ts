import type { Backups } from '../backups/backup.ts';
import type { Probed } from '../health/probe.ts';
import type { System } from '../kernel/machine.ts';
import type { RunningService } from '../kernel/running-service.ts';
import type { RecoverRequest, RecoveryReport } from '../recovery/report.ts';
import type { Restorer } from '../restore/contract.ts';
import type { Upgrade } from '../upgrade/contract.ts';

/** The action when a service cannot be started, or has died more often than its restart policy allows. */
export type OnFail = 'exit' | 'hold' | 'ignore';

export interface RestartPolicy {
  readonly policy: 'never' | 'on-failure' | 'always';
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** Deaths within `windowMs` after which the service has failed. */
  readonly max: number;
  readonly windowMs: number;
}

export interface Service {
  readonly name: string;
  readonly dependsOn: readonly string[];
  readonly onFail: OnFail;
  readonly restart: RestartPolicy;
  /** How long a polite stop may take before the next harder mode, within the entrypoint's budget. */
  readonly stopTimeoutMs: number;
  /** Makes it startable: inspect, remedy, initialize. Idempotent; also run before each restart. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Resolves when ready; rejects with the reason and the last 20 lines of its log. */
  start(signal: AbortSignal): Promise<RunningService>;
  /** A person's wish through `dbkit recover`; absent where there is nothing to recover. */
  recover?(request: RecoverRequest, signal: AbortSignal): Promise<RecoveryReport>;
  /** Brings backups back in its place; absent where there is nothing to restore. */
  readonly restorer?: Restorer;
  /** Takes its data to a newer major while it is down; absent where that cannot be. */
  readonly upgrader?: Pick<Upgrade, 'plan' | 'run'>;
  /** The report on what the last prepare and start had to do about the data; undefined after a plain start. The supervisor records it. */
  lastRecovery?(): RecoveryReport | undefined;
  /** Calls back when that has more to tell while the service runs: not everything can be looked at before it is ready. */
  onLaterReport?(tell: () => void): void;
  /** Resolves when a base backup is wanted before the next start; absent where none ever is. */
  backupWanted?(signal: AbortSignal): Promise<string>;
  readonly probes: Probed['probes'];
  readonly backups: readonly Backups[];
}

/** A service as a plugin gives it: what it leaves out has a default. */
export type PluginService = Pick<Service, 'name' | 'start'> & Partial<Service>;

export interface ServicePlugin<Settings> {
  readonly name: string;
  create(settings: Settings, system: System): PluginService | Promise<PluginService>;
}

export type { Probe, ProbeResult } from '../health/probe.ts';
export type { System } from '../kernel/machine.ts';
export type { RunningService } from '../kernel/running-service.ts';

import type { Probed } from '../health/probe.ts';
import type { System } from '../kernel/machine.ts';
import type { RunningService } from '../kernel/running-service.ts';

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

/** Any service that the supervisor runs. The package exports these types: nothing of dbkit's own formats is among them. */
export interface SupervisedService {
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
  readonly probes: Probed['probes'];
}

/** A service as a plugin gives it: what it leaves out has a default. */
export type PluginService = Pick<SupervisedService, 'name' | 'start'> & Partial<SupervisedService>;

export interface ServicePlugin<Settings> {
  readonly name: string;
  create(settings: Settings, system: System): PluginService | Promise<PluginService>;
}

export type { Probe, ProbeResult } from '../health/probe.ts';
export type { System } from '../kernel/machine.ts';
export type { RunningService } from '../kernel/running-service.ts';

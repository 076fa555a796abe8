import type { RecoveryReport } from '../recovery/report.ts';

export type ServiceState =
  | 'disabled'
  | 'waiting'
  | 'preparing'
  | 'starting'
  | 'ready'
  | 'restarting'
  | 'stopping'
  | 'stopped'
  | 'held'
  | 'failed';

/** One row of `status`: what the supervisor knows about a service. */
export interface ServiceStatus {
  readonly name: string;
  readonly state: ServiceState;
  readonly pid: number | null;
  readonly since: string;
  readonly restarts: number;
  /** One sentence: why it is held or failed, or what recovery did. */
  readonly note: string | null;
  /** The recovery before the last start; null where nothing had to be done. */
  readonly recovery: RecoveryReport['decision'] | null;
  readonly failure: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

/** The service that runs the server: PostgreSQL itself, or the Patroni of a member in its place. */
export const serverAmong = (services: readonly ServiceStatus[]): ServiceStatus | undefined =>
  services.find(({ name }) => name === 'postgresql' || name === 'patroni');

/** The supervisor's published state: `<stateDir>/status.json`, world-readable, written at every change. */
export interface SupervisorStatus {
  readonly schema: 'dbkit.supervisor/v1';
  readonly pid: number;
  readonly mode: 'entrypoint' | 'up';
  readonly startedAt: string;
  readonly readyAt: string | null;
  readonly services: readonly ServiceStatus[];
  /** The last boot that had to do something about the data. */
  readonly lastRecovery: RecoveryReport | null;
}

/** Publishes and reads the supervisor's state; the ready file exists exactly while every required service is ready. */
export interface StatusBoard {
  publish(status: SupervisorStatus): Promise<void>;
  read(): Promise<SupervisorStatus | undefined>;
  setReady(ready: boolean): Promise<void>;
}

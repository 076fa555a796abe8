import type { Backups } from '../backups/backup.ts';
import type { ExpireQuarantined } from '../backups/quarantine-retention.ts';
import type { Config } from '../config/config.ts';
import type { Control } from '../control/contract.ts';
import type { StatusBoard, SupervisorStatus } from '../control/status.ts';
import type { Instance } from '../instance/contract.ts';
import type { Clock, Logger } from '../kernel/machine.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { Upkeep } from '../upkeep/contract.ts';
import type { InitScript } from './init-script.ts';
import type { Service } from './service.ts';
import type { Unit } from './unit.ts';

export type SuperviseNeeds = {
  readonly config: Config;
  readonly services: readonly Service[];
  readonly disabled: readonly string[];
  readonly initScripts: readonly InitScript[];
  readonly control: Control;
  readonly board: StatusBoard;
  readonly history: RecoveryHistory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly backups: readonly Backups[];
  readonly instance: Instance;
  readonly upkeep: Upkeep;
  readonly expireQuarantined: ExpireQuarantined;
};

/** One supervisor's own knowledge: its units, and what it publishes of them. */
export interface Supervision {
  readonly app: SuperviseNeeds;
  readonly units: readonly Unit[];
  readonly stopping: AbortSignal;
  status(): SupervisorStatus;
  publish(): void;
  /** Sets or removes the ready file, and publishes. */
  settled(): Promise<void>;
  recovered(report: RecoveryReport): Promise<void>;
  /** Ends the supervisor as a `shutdown` does. */
  end(): void;
}

import type { Backups } from '../backups/backup.ts';
import type { RecoverRequest, RecoveryReport } from '../recovery/report.ts';
import type { Restorer } from '../restore/contract.ts';
import type { Upgrade } from '../upgrade/contract.ts';
import type { SupervisedService } from './plugin.ts';

export type { OnFail, RestartPolicy } from './plugin.ts';

/** A service, with what dbkit's own does for its data. */
export interface Service extends SupervisedService {
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
  readonly backups: readonly Backups[];
}

import type { SecretPlace } from '../alerts/channel.ts';
import type { Backups } from '../backups/backup.ts';
import type { Config } from '../config/config.ts';
import type { Inspection } from '../inspection/inspect.ts';
import type { Local } from '../instance/local.ts';
import type { HeldLock, System } from '../kernel/machine.ts';
import type { RecoveryReport } from '../recovery/report.ts';

/** Why a base backup is wanted: WAL is missing before now, or so much has gathered that older WAL should expire. */
export type BackupWish = 'gap' | 'grown';

/** The parts that the PostgreSQL service is made of. */
export interface PostgresqlOptions {
  readonly config: Config;
  readonly system: System;
  readonly backups: readonly Backups[];
  readonly onFail: 'exit' | 'hold';
  readonly passwordIsGiven: boolean;
  /** Reads a secret of the configuration at the moment it is needed. */
  reveal(place: SecretPlace): Promise<string>;
  /** Asks for a base backup in the background; absent where nobody takes one. */
  readonly wantBackup?: ((reason: BackupWish) => void) | undefined;
}

/** Things that are held between prepare and the server's end. */
export interface Hold {
  readonly local: Local;
  readonly lock: HeldLock;
  /** Labels of backups that turned out to be damaged meanwhile. */
  readonly spoiled: Set<string>;
  /** The inspection that was seen when the hold was taken; only the first who asks gets it, for soon it is the past. */
  firstLook(): Inspection | undefined;
}

/** The events that the keeper wants to hear of. */
export interface Handles {
  note(report: RecoveryReport): void;
  release(): Promise<void>;
}

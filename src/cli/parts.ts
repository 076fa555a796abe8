import type { Alerter } from '../alerts/contract.ts';
import type { Backups } from '../backups/backup.ts';
import type { Carrier } from '../backups/carrier.ts';
import type { Copies } from '../backups/offsite/copies.ts';
import type { Pulls } from '../backups/pull/pull.ts';
import type { Seeds } from '../backups/seed/seed.ts';
import type { Snapshots } from '../backups/snapshots/contract.ts';
import type { Copying } from '../cluster/copying/copying.ts';
import type { Config } from '../config/config.ts';
import type { Origin } from '../config/origin.ts';
import type { SettingsFile } from '../config/settings-file-contract.ts';
import type { Control } from '../control/contract.ts';
import type { StatusBoard } from '../control/status.ts';
import type { ProjectFolder } from '../homes/devcontainer/project-folder-contract.ts';
import type { Clock, Files, Locks, Logger, Runner, Signals, SpawnChild } from '../kernel/machine.ts';
import type { Git } from '../machine/git-repository.ts';
import type { SdNotify, Systemd } from '../machine/systemd-contract.ts';
import type { MonitorMemory } from '../monitor/decide.ts';
import type { WatchedCluster } from '../monitor/watched-cluster.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import type { InitScript } from '../supervisor/init-script.ts';
import type { Postgresql } from '../supervisor/postgresql.ts';
import type { Service } from '../supervisor/service.ts';

/** The parts that commands are made of: adapters and façades, as compose.ts opens them. A function of a noun names those that it needs. */
export interface Parts extends Omit<Postgresql, 'service'> {
  readonly config: Config;
  /** Where each value came from: 'postgresql.port' → 'environment PGPORT', 'file /etc/dbkit/dbkit.yaml', 'flag --port', 'default'. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** Enabled services, PostgreSQL among them; order is decided by supervisor/service-order. */
  readonly services: readonly Service[];
  /** Names skipped by DISABLED_SERVICES; still listed. */
  readonly disabled: readonly string[];
  /** Runs the init-* executables of the services folder, in order; on every start, after the services are ready. */
  readonly initScripts: readonly InitScript[];
  readonly control: Control;
  readonly git: Git;
  readonly project: ProjectFolder;
  readonly board: StatusBoard;
  readonly history: RecoveryHistory;
  readonly backups: readonly Backups[];
  /** Copies of backups and WAL in other places. */
  readonly offsite: Copies;
  /** Copies of single databases in the running server. */
  readonly snapshots: Snapshots;
  /** Databases of other servers. */
  readonly pulls: Pulls;
  readonly seeds: Seeds;
  /** The configuration for a server that is a connection and nothing else. Rejects with `usage.invalid`. */
  serverOf(url: string): Promise<Config>;
  readonly memory: MonitorMemory;
  /** The Patroni cluster of ha.members, where there is one. */
  readonly watchedCluster: WatchedCluster;
  /** Which of its members takes the base backups. */
  readonly carrier: Carrier;
  /** A member's data from backups, as Patroni asks for it. */
  readonly copying: Copying;
  readonly alerts: Alerter;
  readonly settingsFile: SettingsFile;
  readonly sdNotify: SdNotify;
  /** Asks a URL that the configuration names, so that somebody notices when nobody asks any more; false when that did not work. */
  ping(signal: AbortSignal): Promise<boolean>;
  readonly clock: Clock;
  readonly files: Files;
  readonly log: Logger;
  readonly spawn: SpawnChild;
  readonly runner: Runner;
  readonly locks: Locks;
  /** Makes LOG_DIR, and mends its owner, as a start of PostgreSQL does; where a background dbkit logs to. */
  prepareLog(signal: AbortSignal): Promise<string>;
  /** Makes the state, repository and log folders with the owner of the data; dbkit's own state is given to him where root had it. */
  prepareFolders(signal: AbortSignal): Promise<void>;
  readonly systemd: Systemd;
  readonly signals: Signals;
  /** Environment for CMD: the caller's own, plus PGHOST, PGPORT, PGUSER, PGDATABASE where they are not set. */
  readonly commandEnvironment: Readonly<Record<string, string>>;
}

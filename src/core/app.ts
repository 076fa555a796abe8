import type { Chat } from './alert-questions.ts';
import type { SecretPlace } from './alert-settings.ts';
import type { Alert } from './alerts.ts';
import type { BackupEngine, RetentionDecision } from './backups.ts';
import type { Config } from './config.ts';
import type { Clock, Identity, Logger, Service, SpawnChild } from './contracts.ts';
import type { Copies } from './copies.ts';
import type { SettingChange, Settings } from './devcontainer-plan.ts';
import type { Finding } from './findings.ts';
import type { Git } from './git.ts';
import type { MonitorMemory } from './monitor.ts';
import type { ServePages } from './pages.ts';
import type { Quarantined } from './quarantine-retention.ts';
import type { RecoverRequest, RecoveryReport } from './recovery.ts';
import type { RestoreRequest, Restorer } from './restore.ts';
import type { SdNotify, Systemd } from './systemd.ts';
import type { Upkeep } from './upkeep.ts';

/** What a command has to work with. A use-case takes `Pick<App, …>`: its signature is its list of dependencies. */
export interface App {
  readonly config: Config;
  /** Where each value came from: 'postgresql.port' → 'environment PGPORT', 'file /etc/dbkit/dbkit.yaml', 'flag --port', 'default'. */
  readonly origins: ReadonlyMap<string, string>;
  /** Enabled services, PostgreSQL among them; order is decided by core/service-order. */
  readonly services: readonly Service[];
  /** Names skipped by DISABLED_SERVICES; still listed. */
  readonly disabled: readonly string[];
  /** Runs the init-* executables of the services folder, in order; on every start, after the services are ready. */
  readonly initScripts: readonly InitScript[];
  readonly instance: Instance;
  readonly control: Control;
  readonly git: Git;
  readonly project: ProjectFolder;
  readonly board: StatusBoard;
  readonly history: RecoveryHistory;
  readonly engines: readonly BackupEngine[];
  readonly memory: MonitorMemory;
  readonly alerts: Alerter;
  readonly settingsFile: SettingsFile;
  readonly sdNotify: SdNotify;
  /** Asks a URL that the configuration names, so that somebody notices when nobody asks any more; false when that did not work. */
  ping(signal: AbortSignal): Promise<boolean>;
  readonly servePages: ServePages;
  readonly clock: Clock;
  readonly log: Logger;
  readonly spawn: SpawnChild;
  /** Makes LOG_DIR, and mends its owner, as a start of PostgreSQL does; for whoever logs there before that. */
  prepareLogDir(signal: AbortSignal): Promise<void>;
  /** Makes the state, repository and log folders with the owner of the data; dbkit's own state is given to him where root had it. */
  prepareFolders(signal: AbortSignal): Promise<void>;
  readonly systemd: Systemd;
  readonly signals: Signals;
  /** Environment for CMD: the caller's own, plus PGHOST, PGPORT, PGUSER, PGDATABASE where they are not set. */
  readonly commandEnvironment: Readonly<Record<string, string>>;
}

/** The configuration file, and files for secrets that it names, as things to write to. */
export interface SettingsFile {
  /** Puts a value under these keys and keeps everything else, comments included; where it is now. Rejects with `config.invalid`. */
  set(keys: readonly string[], value: unknown): Promise<string>;
  /** `<stateDir>/secrets/<name>`, 0600. */
  keepSecret(name: string, text: string): Promise<string>;
  forgetSecret(file: string): Promise<void>;
}

/** Tells people. */
export interface Alerter {
  readonly channels: readonly string[];
  /** Never rejects; resolves when every channel has it, or has been given up. What was told already is not told again. */
  tell(alert: Alert, signal: AbortSignal): Promise<void>;
  /** Rejects with `usage.invalid` for a channel that there is not, `service.failed` with the reason when it does not get through. */
  test(channel: string, signal: AbortSignal): Promise<void>;
  /** The same for settings that are not in the configuration yet; `config.invalid` when they cannot be a channel's. */
  tryOut(channel: string, settings: unknown, signal: AbortSignal): Promise<void>;
  /** Who has written to the bot of these settings of a Telegram channel (`token`, `api`). */
  telegramChats(settings: unknown, signal: AbortSignal): Promise<readonly Chat[]>;
  /** The secret that is kept there. Rejects with `config.invalid` when it is not. */
  reveal(place: SecretPlace): Promise<string>;
}

export interface InitScript {
  readonly path: string;
  run(signal: AbortSignal): Promise<void>;
}

/** Process signals as data, registered by main.ts before any other work: PID 1 has no default actions. */
export interface Signals {
  /** Also delivers what arrived before the subscription. Returns the unsubscribe. */
  subscribe(listener: (signal: 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1') => void): () => void;
}

/** PostgreSQL as a thing to look at and mend, without an orchestrator around it. */
export interface Instance {
  /** Never touches anything. */
  inspect(options: { deep: boolean }, signal: AbortSignal): Promise<InspectionReport>;
  /** Plans and, unless `dryRun`, applies; the server is stopped before and after. Rejects with `server.running` / `lock.held` when it is not. */
  recover(request: RecoverRequest, signal: AbortSignal): Promise<RecoveryReport>;
  /** Lets processes of the server go on that a signal has stopped; how many there were. */
  wake(signal: AbortSignal): Promise<number>;
  /** What a running server says of itself; undefined when it does not answer within `timeoutMs`. */
  live(timeoutMs: number, signal: AbortSignal): Promise<LiveServer | undefined>;
  /** Nothing is in the data directory here, and nobody here has ever run a server on it: its files are another machine's, or another container's. */
  isElsewhere(): Promise<boolean>;
  /** How full the volumes under the logs and the repository are, in percent. */
  fullness(): Promise<{ readonly logs: number; readonly backups: number }>;
  /** Who runs the server where dbkit does not supervise it; undefined: nobody that dbkit knows. */
  caretaker(): Promise<Caretaker | undefined>;
  /** Who the server runs as. */
  owner(): Promise<Identity>;
  readonly restorer: Restorer;
  readonly upkeep: Upkeep;
  readonly copies: Copies;
  /** Retention for data that was set aside; `reported` paths stay. */
  expireQuarantine(
    options: { readonly dryRun: boolean; readonly reported: ReadonlySet<string> },
    signal: AbortSignal,
  ): Promise<readonly (RetentionDecision & Quarantined)[]>;
}

/** A unit of systemd's, or Debian's own tool. */
export interface Caretaker {
  /** The unit's name, which a cluster of Debian's has also where systemd does not run. */
  readonly name: string;
  /** A program and its arguments. */
  readonly start: readonly string[];
  /** Does nothing when it does not run; one that does not stop in time is stopped the hard way. Rejects with `tool.failed`. */
  stop(signal: AbortSignal): Promise<void>;
}

export interface LiveServer {
  readonly version: string;
  readonly startedAt: string;
  readonly inRecovery: boolean;
  readonly connections: { readonly used: number; readonly max: number };
  readonly databaseSizeBytes: number;
}

export interface InspectionReport {
  readonly dataDir: string;
  readonly state: 'empty' | 'foreign' | 'unfinished' | 'cluster';
  /** Server major of the data, null when unknown. */
  readonly major: number | null;
  readonly systemIdentifier: string | null;
  /** pg_control's own words ('shut down', 'in production', …), null when it cannot be read. */
  readonly clusterState: string | null;
  /** True when the server was shut down cleanly and (if an inventory was kept) nothing has changed since. */
  readonly clean: boolean;
  /** 'match', 'differs', 'void' (the server has run since) or 'none'. */
  readonly inventory: 'match' | 'differs' | 'void' | 'none';
  readonly checksums: boolean | null;
  readonly findings: readonly Finding[];
  readonly files: number;
  readonly sizeBytes: number;
  readonly deep: { readonly pages: number; readonly damaged: number } | null;
  readonly durationMs: number;
}

/** Files of somebody's project, and those of dbkit's own package that go into it. */
export interface ProjectFolder {
  /** Undefined when there is none. */
  read(path: string): Promise<string | undefined>;
  /** Whether a file holds these very bytes. */
  holds(path: string, body: Uint8Array): Promise<'same' | 'other' | 'nothing'>;
  /** Whole or not at all, with the folders above it; a link stays one. */
  write(path: string, body: string | Uint8Array): Promise<void>;
  /** A file of the package's `.devcontainer/`. */
  template(name: string): Promise<string>;
  /** The package of this very program, as `npm pack` makes it. */
  pack(signal: AbortSignal): Promise<Uint8Array>;
  /** JSON with comments. Rejects with `config.invalid`, naming the file and the line. */
  parse(text: string, name: string): Promise<Settings>;
  /** The text with these changes, every comment where it was. */
  edit(text: string, changes: readonly SettingChange[]): Promise<string>;
}

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
  readonly failure: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

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

/** What recoveries have done, remembered across boots: `<stateDir>/recoveries/`, the newest hundred. */
export interface RecoveryHistory {
  /** A report with the same `at` takes the earlier one's place, and keeps who had asked for it. */
  record(report: RecoveryReport): Promise<void>; // Never rejects: a server is not kept down for want of a report.
  newest(): Promise<RecoveryReport | undefined>;
  /** Newest first. */
  all(): Promise<readonly RecoveryReport[]>;
}

export type ControlRequest =
  | { readonly command: 'ping' }
  | { readonly command: 'stop'; readonly service?: string }
  | { readonly command: 'start'; readonly service?: string }
  | { readonly command: 'restart'; readonly service?: string }
  | { readonly command: 'reload' }
  | { readonly command: 'recover'; readonly request: RecoverRequest }
  | { readonly command: 'restore'; readonly request: RestoreRequest; readonly dryRun: boolean }
  | { readonly command: 'shutdown' };

/** The control socket (0600, or the data owner's group): `<stateDir>/control.sock`, one JSON line each way. */
export interface Control {
  /**
   * Rejects with `lock.held` when another supervisor of this state directory answers. Failures of `handle` travel to the asker, and so do log
   * events while data is restored or recovered; `gone` fires when the asker has left.
   */
  serve(handle: (request: ControlRequest, signal: AbortSignal, gone: AbortSignal) => Promise<unknown>): Promise<{ close(): Promise<void> }>;
  /** Undefined when no supervisor is running. Rejects with the supervisor's own failure. */
  ask(request: ControlRequest, signal: AbortSignal): Promise<unknown | undefined>;
}

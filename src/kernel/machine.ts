import type { Step } from './steps.ts';

/** The owner of a child process or a file. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly home: string;
}

/** The owner of a file that root writes; what stat(2) says of another file will do. */
export type Owner = Pick<Identity, 'uid' | 'gid'>;

export interface Clock {
  now(): Date;
  /** Milliseconds that only go forward; for durations and deadlines. */
  monotonicMs(): number;
  /** Rejects with AbortError when the signal fires. */
  sleep(durationMs: number, signal: AbortSignal): Promise<void>;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One event as the logger stamps it and the output renders it. */
export interface LogEvent {
  readonly at: Date;
  readonly level: LogLevel | 'progress';
  readonly event: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** One event: `noun.verb` for machines, one sentence for people, fields for both. */
export interface Logger {
  debug(event: string, message: string, fields?: LogFields): void;
  info(event: string, message: string, fields?: LogFields): void;
  warn(event: string, message: string, fields?: LogFields): void;
  error(event: string, message: string, fields?: LogFields): void;
  /** A step of something long. `done` of `total` in `unit`; total is undefined when unknown. */
  progress(event: string, message: string, step: { done: number; total?: number; unit: 'bytes' | 'files' | 'seconds' | 'pages' }): void;
}

/** One run of a program to its end. Secrets travel in `env` or `input`, never in `args`: args are logged. */
export interface Tool {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
  /** Default: whom dbkit acts as, which is the server's user where root has started it. */
  readonly as?: Identity | 'caller' | undefined;
  /** Handed down as fd 3: should dbkit be killed, whoever comes next waits until this tool has ended too. */
  readonly lock?: HeldLock | undefined;
  readonly timeoutMs: number;
}

export interface ToolResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Runner {
  /** Rejects with `tool.failed` (hint: the tool's last words) on a non-zero status, `program.missing` when there is no such file. */
  run(tool: Tool, signal: AbortSignal): Promise<ToolResult>;
  /** The same, but a non-zero status is a result; it still rejects when the program is missing, times out or is killed. */
  attempt(tool: Tool, signal: AbortSignal): Promise<ToolResult>;
}

export interface ExitReason {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildSpec {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
  readonly as?: Identity | undefined;
  /** 'inherit': the terminal is the child's; 'stderr': its stdout too, where dbkit's own stdout is a document. A path: stdout and stderr are appended there, so the child outlives dbkit unharmed. */
  readonly output: 'inherit' | 'stderr' | { readonly appendTo: string };
  /** A session of its own: a terminal's Ctrl-C does not reach it. */
  readonly newSession: boolean;
  readonly outlivesDbkit?: boolean; // Then dbkit may end while the child lives on; else its process waits for it.
  /** Handed down as fd 3: the child then holds the kernel lock for as long as it lives. */
  readonly lock?: HeldLock | undefined;
}

export interface Child {
  readonly pid: number;
  readonly exited: Promise<ExitReason>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts what lives longer than one call. Rejects with `program.missing` or `tool.failed` when it cannot be spawned. */
export type SpawnChild = (spec: ChildSpec) => Promise<Child>;

/** A kernel lock (flock) on an open file description: freed by the kernel when dbkit and every child it was handed to are gone. */
export interface HeldLock {
  readonly path: string;
  readonly fd: number;
  /** 'kernel', or 'none' where the machine has no flock(1): then only the pid proof guards. */
  readonly guard: 'kernel' | 'none';
  release(): Promise<void>;
}

export interface Locks {
  /** Rejects with `lock.held`, naming the holder as the file describes it. The file is created, with `owner`, when it is missing. */
  acquire(path: string, holder: string, owner?: Owner): Promise<HeldLock>;
  /**
   * A directory itself, which cannot be removed and made again while it is held. Rejects with `lock.held`, naming the holder as `note` describes
   * it; undefined where the file system locks no directories.
   */
  guard(directory: string, note: string): Promise<HeldLock | undefined>;
  /** On something that is there already, a directory too, which stays unwritten: beside other readers, or alone. Undefined: not to be had now. */
  hold(path: string, mode: 'shared' | 'exclusive'): Promise<HeldLock | undefined>;
  /**
   * Alone on one of these files, which are made where they are missing, for their user alone. Waits at most `timeoutMs`; undefined then, and where
   * no file can be made or locked: a turn is a courtesy, never a condition.
   */
  turn(paths: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<HeldLock | undefined>;
}

/** Small files that survive a power cut: written aside, fsynced, renamed, directory fsynced. */
export interface Files {
  write(path: string, body: string | Uint8Array, options?: { mode?: number; owner?: Owner | undefined }): Promise<void>;
  /** Whole or not at all, but not for a power cut: for what only means something while this process lives. */
  publish(path: string, body: string): Promise<void>;
  /** A copy with the bytes and time it shall have, sharing blocks where the file system can; it takes the place of `to` whole or not at all. */
  copy(from: string, to: string, options: { mode: number; owner?: Identity | undefined; modifiedMs: number }): Promise<void>;
  /** rename(2), then fsync of both directories. Never overwrites: rejects with `file.exists`. */
  rename(from: string, to: string): Promise<void>;
  /** mkdir -p; each directory it makes gets the mode and owner. */
  makeDirectory(path: string, options?: { mode?: number; owner?: Owner | undefined }): Promise<void>;
  /** The same for a folder of dbkit's own that root may have made: where only root could have, it becomes that of whom dbkit acts as. */
  ownDirectory(path: string, options?: { mode?: number; owner?: Owner | undefined }): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** The first of these files that can be added to, made where it is missing; undefined when none can. */
  firstWritable(paths: readonly string[], options: { mode: number }): string | undefined;
  /** Adds to the end of a file, which is made where it is missing. */
  append(path: string, text: string, options: { mode: number }): Promise<void>;
  /** JSON through `parse`; undefined when missing. A broken file is renamed to `<path>.broken-<time>` with a warning, and undefined. */
  readJson<T>(path: string, parse: (value: unknown) => T): Promise<T | undefined>;
}

/**
 * Files, sockets and signals of root's dbkit are used as the server's user, as far as it concerns folders of that user (SECURITY.md). Here is what only root may do
 * for it; for an ordinary user it is what that user may do.
 */
export interface Rights {
  /** True where what is done now is done as root. */
  isRoot(): boolean;
  /** Synchronous work with the rights dbkit was started with: to start a program, or to write for whoever called it. */
  asCaller<T>(work: () => T extends PromiseLike<unknown> ? never : T): T;
  /**
   * Somebody other than root and the caller who could have written a file, or could put another in its place; undefined when there is none. With
   * `onReadOnlyMount` what lies on a read-only mount counts as root's, who mounted it.
   */
  whoElseMayWrite(path: string, options?: { onReadOnlyMount?: boolean }): { readonly path: string; readonly who: string } | undefined;
  /**
   * Gives a directory to `owner`. Throws `data.owner` when the way there leads through a link that others could have placed, and when it holds
   * what is not `isOurs`.
   */
  handOver(path: string, owner: Owner, isOurs: (names: readonly string[]) => boolean): void;
  /**
   * Writes a secret into the folder `secrets` of the state directory, 0600, as whoever owns that; returns the file. Throws `data.owner` for root
   * where others could put another folder in its place.
   */
  keepSecret(stateDir: string, name: string, text: string): string;
  /** Removes it again. */
  forgetSecret(stateDir: string, file: string): void;
  /** May the server's user make files in that folder? access(2) would ask about root. */
  mayWriteIn(path: string, user: Owner): boolean;
  /** Gives a directory away with everything in it that is `taken`, and modes that let the owner use it; links are never followed. */
  handOverTree(path: string, owner: Owner, signal: AbortSignal, options?: { taken?: (below: string) => boolean }): void;
}

/** Where a test may kill dbkit: `reached('replace.journaled')`. Does nothing unless DBKIT_FAIL_AT names the step. */
export type FaultPoint = (step: Step) => void;

/** Moments of a boot, in the order in which they come. */
export type BootMoment =
  | 'program.loaded'
  | 'parts.assembled'
  | 'lock.held'
  | 'data.inspected'
  | 'data.prepared'
  | 'server.spawned'
  | 'server.ready'
  | 'databases.asked'
  | 'boot.ready';

/** Tells when a moment came, in milliseconds since Node began; does nothing unless DBKIT_TRACE is `boot`. */
export type Trace = (moment: BootMoment) => void;

/** Everything an adapter may use of the machine; it owns all side effects but file reads. */
export interface System {
  readonly clock: Clock;
  readonly log: Logger;
  readonly runner: Runner;
  readonly spawn: SpawnChild;
  readonly locks: Locks;
  readonly files: Files;
  readonly rights: Rights;
  readonly reached: FaultPoint;
  readonly trace: Trace;
  /** The identity dbkit runs as, and whether it is root. */
  readonly self: Identity;
  /** Looks a user up by name or uid; undefined when there is none. */
  lookupUser(user: string | number): Promise<Identity | undefined>;
  /** True if a user that is neither owner nor group may pass every folder down to `path`. */
  reachableByOthers(path: string): Promise<boolean>;
  /** Environment for children: PATH, HOME, LANG, TZ, and nothing that dbkit was told in secret. */
  readonly childEnvironment: Readonly<Record<string, string>>;
}

/** Process signals as data, registered by main.ts before any other work: PID 1 has no default actions. */
export interface Signals {
  /** Also delivers what arrived before the subscription. Returns the unsubscribe. */
  subscribe(listener: (signal: 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1') => void): () => void;
}

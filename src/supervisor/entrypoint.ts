import type { SupervisorStatus } from '../control/status.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import { exitStatus } from '../kernel/exit-status.ts';
import type { Child, ExitReason, Files, Signals, SpawnChild } from '../kernel/machine.ts';
import type { MonitorCheck, MonitorNeeds } from '../monitor/check.ts';
import { endPlannedStop } from '../monitor/pause.ts';
import { tellOfArchive } from './archive-alerts.ts';
import { type AutomaticCommands, type AutomaticWork, beginAutomaticWork } from './automatic-work.ts';
import { planStop } from './stop-plan.ts';
import { type Supervisor, supervise } from './supervise.ts';
import type { SuperviseNeeds } from './supervision.ts';

type Needs = SuperviseNeeds &
  MonitorNeeds & {
    readonly files: Files;
    readonly spawn: SpawnChild;
    readonly signals: Signals;
    readonly commandEnvironment: Readonly<Record<string, string>>;
  };

export interface EntrypointInput {
  /** The name of this supervisor in `status`. */
  readonly mode: SupervisorStatus['mode'];
  /** CMD and its arguments; empty: stay until told to stop. */
  readonly command: readonly string[];
  /** Where CMD's stdout goes: 'stderr' when dbkit's own stdout is to be one document. */
  readonly commandOutput: 'inherit' | 'stderr';
  /** The programs of what nobody asks for; they run at low priority once everything is ready. */
  readonly automatic: AutomaticCommands;
  /** Called once, when every service is ready or held and before CMD starts. */
  onReady(supervisor: Supervisor): void;
  /** After each check of the monitor, where it is enabled. */
  readonly onCheck?: ((check: MonitorCheck) => void) | undefined;
  /** When a recovery of the monitor's begins and ends. */
  readonly onRecovery?: ((isUnderWay: boolean) => void) | undefined;
}
export interface EntrypointReport {
  readonly exitStatus: number;
  readonly endedBy: string;
}

const SAME_PRESS_MS = 500; // npm and the terminal may deliver one Ctrl-C twice.

/**
 * The container's life: services up, CMD, services down. Resolves with CMD's status, or 128+n when a signal ended it; without CMD a requested
 * stop is a success (0), so that `docker stop` and systemd see a clean end. Rejects when a service fails whose policy is `exit`.
 */
export async function runEntrypoint(
  app: Needs,
  { mode, command, commandOutput, automatic, onReady, onCheck, onRecovery }: EntrypointInput,
): Promise<EntrypointReport> {
  const running = await attach(app, command, commandOutput);
  if (running) return running;
  const hurried = new AbortController();
  let stopAsked: (signal: NodeJS.Signals) => void = () => undefined;
  const stopSignal = new Promise<NodeJS.Signals>((resolve) => {
    stopAsked = resolve;
  });
  let child: Child | undefined;
  const unwatched = new AbortController();
  let watching: Promise<void> | undefined;
  let working: AutomaticWork | undefined;
  let telling: Promise<void> | undefined;
  let supervisor: Supervisor | undefined;
  let commandLives = false;
  let lastMs: number | undefined;
  const unsubscribe = app.signals.subscribe((signal) => {
    if (signal === 'SIGHUP') return void supervisor?.reload();
    if (signal === 'SIGUSR1') return;
    const nowMs = app.clock.monotonicMs();
    const isAgain = lastMs !== undefined && nowMs - lastMs > SAME_PRESS_MS;
    lastMs = nowMs;
    if (isAgain && !commandLives) hurried.abort(); // What holds the stop up is hurried: CMD first, the services when it is gone.
    child?.kill(isAgain ? 'SIGKILL' : signal);
    stopAsked(signal);
  });
  try {
    supervisor = await supervise(app, mode);
    if (app.config.monitor.enabled) void loop().catch((cause: unknown) => app.log.debug('monitor.not-loaded', wordsOf(cause))); // While the server starts.
    await endPlannedStop(app).catch((cause: unknown) =>
      app.log.warn('monitor.still-paused', `the monitor stays paused for now: ${wordsOf(cause)}`),
    );
    const asked = await Promise.race([supervisor.booted.then(() => undefined), stopSignal]);
    if (asked !== undefined) return { exitStatus: command.length === 0 ? 0 : exitStatus({ code: null, signal: asked }), endedBy: asked };
    onReady(supervisor);
    working = await beginAutomaticWork(app, automatic, unwatched.signal);
    telling = tellOfArchive(app, unwatched.signal);
    if (app.config.monitor.enabled) watching = watch(app, { onCheck, onRecovery }, unwatched.signal);
    if (command.length > 0) {
      child = await startCommand(app, command, commandOutput);
      commandLives = true;
      void child.exited.then(() => {
        commandLives = false;
      });
    }
    return await untilOver(app, supervisor, child, stopSignal);
  } finally {
    unwatched.abort();
    await watching;
    await working?.end();
    await telling;
    await supervisor?.stop(hurried.signal);
    if (commandLives) child?.kill('SIGKILL'); // It has ignored its signal for the whole budget.
    unsubscribe();
  }
}

const loop = () => import('../monitor/loop.ts');

/**
 * The monitor as part of the container: what it recovers goes through this very supervisor. It never fails the entrypoint, and one that ends
 * by itself is begun again: a container must not go on unwatched.
 */
async function watch(
  app: Needs,
  { onCheck, onRecovery }: Pick<EntrypointInput, 'onCheck' | 'onRecovery'>,
  signal: AbortSignal,
): Promise<void> {
  const intervalMs = app.config.monitor.intervalSeconds * 1000;
  let said = '';
  while (!signal.aborted) {
    try {
      const { monitor } = await loop();
      await monitor(
        app,
        { start: [], intervalMs, onCheck: (check) => onCheck?.(check), onRecovery: (isUnderWay) => onRecovery?.(isUnderWay) },
        signal,
      );
    } catch (cause) {
      const words = wordsOf(cause);
      if (words !== said) app.log.warn('monitor.ended', `the monitor ended and is started again: ${words}`); // One that is in another's way says so once.
      said = words;
    }
    await app.clock.sleep(intervalMs, signal).catch(() => undefined);
  }
}

/** In a container whose services run already (`docker exec … dbkit entrypoint CMD`) CMD simply runs; the services stay. */
async function attach(
  app: Needs,
  command: readonly string[],
  output: EntrypointInput['commandOutput'],
): Promise<EntrypointReport | undefined> {
  if (command.length === 0) return undefined;
  const answer = await app.control.ask({ command: 'ping' }, new AbortController().signal).catch(() => undefined);
  if (answer === undefined) return undefined;
  app.log.info('entrypoint.attached', 'the services are running already; running the command beside them');
  const child = await startCommand(app, command, output);
  const unsubscribe = app.signals.subscribe((signal) => {
    if (signal !== 'SIGUSR1') child.kill(signal);
  });
  const exit = await child.exited;
  unsubscribe();
  return { exitStatus: exitStatus(exit), endedBy: 'the command' };
}

/** CMD owns the terminal: its streams are dbkit's own, in the same process group. */
async function startCommand(
  { spawn, commandEnvironment }: Needs,
  [file, ...args]: readonly string[],
  output: EntrypointInput['commandOutput'],
): Promise<Child> {
  return spawn({ file: file!, args, env: commandEnvironment, output, newSession: false });
}

async function untilOver(
  app: Needs,
  supervisor: Supervisor,
  child: Child | undefined,
  stopSignal: Promise<NodeJS.Signals>,
): Promise<EntrypointReport> {
  const commandEnded = child?.exited ?? new Promise<never>(() => undefined);
  const outcome = await Promise.race([commandEnded, stopSignal, supervisor.ended.then(() => 'shutdown' as const)]);
  if (typeof outcome === 'object') return { exitStatus: exitStatus(outcome), endedBy: 'the command' };
  if (!child) return { exitStatus: 0, endedBy: outcome };
  if (outcome === 'shutdown') child.kill('SIGTERM');
  const exit = await withinBudget(app, child);
  return {
    exitStatus: exit ? exitStatus(exit) : exitStatus({ code: null, signal: outcome === 'shutdown' ? 'SIGTERM' : outcome }),
    endedBy: outcome,
  };
}

/** CMD's share of the stop; afterwards the services stop whether it has ended or not. */
async function withinBudget({ clock, config }: Needs, child: Child): Promise<ExitReason | undefined> {
  const enough = new AbortController();
  const waited = clock.sleep(planStop(config.stopSeconds * 1000).commandMs, enough.signal).catch((cause: unknown) => {
    if (!isAbort(cause)) throw cause;
  });
  const exit = await Promise.race([child.exited, waited.then(() => undefined)]);
  enough.abort();
  return exit;
}

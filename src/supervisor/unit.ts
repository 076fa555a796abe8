import type { ServiceState, ServiceStatus } from '../control/status.ts';
import { bound, withAny } from '../kernel/deadline.ts';
import { DbkitError, isAbort, toFailure } from '../kernel/errors.ts';
import type { Clock, ExitReason, Logger } from '../kernel/machine.ts';
import type { RunningService, StopMode } from '../kernel/running-service.ts';
import { tellsWhere } from '../recovery/losses.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { decideRestart } from './restart-policy.ts';
import type { Service } from './service.ts';
import { planStop } from './stop-plan.ts';

interface UnitNeeds {
  readonly clock: Clock;
  readonly log: Logger;
  changed(): void;
  recovered(report: RecoveryReport): Promise<void>;
  /** A service whose policy is `exit` has failed for good after it had been ready. */
  failed(cause: unknown): void;
  readonly decideRestart: typeof decideRestart;
}

/** One service with its life: what state it is in, why, and what happens when it dies. */
export interface Unit {
  readonly name: string;
  readonly service: Service;
  state(): ServiceState;
  status(): ServiceStatus;
  /** Resolves when ready, or held, or when the policy is to ignore the failure; rejects with the failure when the policy is `exit`. */
  start(signal: AbortSignal): Promise<void>;
  /** Fast, then immediate when the budget is nearly over, or at once when `hurried` fires. Nobody is killed. */
  stop(budgetMs: number, hurried: AbortSignal): Promise<void>;
  reload(): Promise<void>;
}

/** The life of one service, as the functions below change it. */
interface Life {
  readonly service: Service;
  readonly needs: UnitNeeds;
  readonly deathsMs: number[];
  state: ServiceState;
  since: string;
  running: RunningService | undefined;
  attempt: Promise<void>;
  cancel: AbortController;
  failure: ServiceStatus['failure'];
  note: string | null;
  recovery: ServiceStatus['recovery'];
  readyAt: string | undefined;
  told: Promise<void>; // One report is written after the other: the newest is the last.
  restarts: number;
}

export function createUnit(service: Service, needs: UnitNeeds): Unit {
  const life: Life = {
    service,
    needs,
    deathsMs: [],
    state: 'waiting',
    since: needs.clock.now().toISOString(),
    running: undefined,
    attempt: Promise.resolve(),
    cancel: new AbortController(),
    failure: null,
    note: null,
    recovery: null,
    readyAt: undefined,
    told: Promise.resolve(),
    restarts: 0,
  };
  service.onLaterReport?.(() => life.running && void rememberRecovery(life).then(needs.changed));
  return {
    name: service.name,
    service,
    state: () => life.state,
    status: () => {
      const { state, since, restarts, note, recovery, failure, running } = life;
      const details = running?.details ?? {};
      return { name: service.name, state, pid: running?.pid ?? null, since, restarts, note, recovery, failure, details };
    },
    start: (outer) => start(life, outer),
    stop: (budgetMs, hurried) => stop(life, budgetMs, hurried),
    reload: async () => life.running?.reload?.(),
  };
}

function enter(life: Life, next: ServiceState): void {
  life.state = next;
  life.since = life.needs.clock.now().toISOString();
  life.needs.changed();
}

function start(life: Life, outer: AbortSignal): Promise<void> {
  if (life.state === 'ready' || life.state === 'preparing' || life.state === 'starting') return life.attempt;
  life.cancel = new AbortController();
  const { signal } = bound([outer, life.cancel.signal]); // For as long as it runs: its death is a start of its own.
  life.attempt = bringUp(life, signal).catch((cause: unknown) => {
    if (isAbort(cause)) {
      if (outer.aborted) throw cause;
      return; // Stopped by name in the middle of its start; the others go on.
    }
    settleFailure(life, cause);
    if (life.service.onFail === 'exit') throw cause;
  });
  return life.attempt;
}

async function stop(life: Life, budgetMs: number, hurried: AbortSignal): Promise<void> {
  const { service, needs, state } = life;
  const { clock, log } = needs;
  const isUnderWay = state === 'preparing' || state === 'starting' || state === 'restarting';
  if (!life.running && !isUnderWay) return; // Held, failed or never begun: its reason stays to be read.
  const begunMs = clock.monotonicMs();
  enter(life, 'stopping');
  life.cancel.abort();
  if (!life.running) await untilSettled(life.attempt, budgetMs, clock);
  const left = budgetMs - (clock.monotonicMs() - begunMs);
  if (life.running) await stopWithin(life.running, Math.min(left, service.stopTimeoutMs), hurried, needs); // Also one that was ready just now.
  life.running = undefined;
  enter(life, 'stopped');
  log.info('service.stopped', `${service.name} is stopped`, { service: service.name });
}

async function bringUp(life: Life, signal: AbortSignal): Promise<void> {
  const { service, needs } = life;
  life.failure = null;
  life.note = null;
  life.recovery = null;
  life.readyAt = undefined;
  try {
    enter(life, 'preparing');
    await service.prepare(signal);
    await rememberRecovery(life); // Now, too: should the start be cut off, the next boot still knows what was done.
    enter(life, 'starting');
    life.running = await service.start(signal);
  } catch (cause) {
    await rememberRecovery(life);
    throw cause;
  }
  const { running } = life;
  life.readyAt = needs.clock.now().toISOString();
  await rememberRecovery(life);
  if (signal.aborted) return; // Whoever stops it waits for this, and stops what has come up.
  void watch(life, running, signal);
  enter(life, 'ready');
  needs.log.info('service.ready', `${service.name} is ready`, { service: service.name, pid: running.pid });
}

async function rememberRecovery(life: Life): Promise<void> {
  const report = life.service.lastRecovery?.();
  if (!report) return;
  const { readyAt } = life;
  const { quarantine, losses } = report;
  const where = quarantine === null || tellsWhere(losses, quarantine) ? '' : `; the old bytes are in ${quarantine}`;
  life.recovery = report.decision;
  life.note = `${report.decision}: ${report.because}; lost: ${report.lost}${where}`;
  life.told = life.told.then(() => life.needs.recovered({ ...report, trigger: 'start', ...(readyAt ? { readyAt } : {}) }));
  await life.told;
}

/** A death that nobody asked for: the policy decides; preparing again is what makes PostgreSQL's death go through inspection. */
async function watch(life: Life, running: RunningService, signal: AbortSignal): Promise<void> {
  const { service, needs, deathsMs } = life;
  const exit = await running.exited;
  if (life.running !== running) return;
  life.running = undefined;
  if (life.state === 'stopping' || signal.aborted) return;
  deathsMs.push(needs.clock.monotonicMs());
  needs.log.error('service.died', `${service.name} ${howItEnded(exit)}`, { service: service.name });
  const decision = needs.decideRestart(service.restart, exit, deathsMs, needs.clock.monotonicMs());
  if (!decision.restart)
    return giveUp(
      life,
      new DbkitError('service.failed', `${service.name} ${howItEnded(exit)} and is not started again: ${decision.because}`),
    );
  enter(life, 'restarting');
  life.attempt = revive(life, decision.afterMs, signal);
}

async function revive(life: Life, afterMs: number, signal: AbortSignal): Promise<void> {
  try {
    await life.needs.clock.sleep(afterMs, signal);
    life.restarts += 1;
    await bringUp(life, signal);
  } catch (cause) {
    if (isAbort(cause)) return;
    giveUp(life, cause);
  }
}

function giveUp(life: Life, cause: unknown): void {
  settleFailure(life, cause);
  if (life.service.onFail === 'exit') life.needs.failed(cause);
}

function settleFailure(life: Life, cause: unknown): void {
  const { name, onFail } = life.service;
  const { code, message, hint } = toFailure(cause);
  life.failure = { code, message, hint };
  enter(life, onFail === 'hold' ? 'held' : 'failed');
  if (onFail === 'exit') return;
  const held =
    onFail === 'hold' ? '; it is held back: `dbkit status` shows why, `dbkit recover` goes on from here' : '; the others go on without it';
  life.needs.log.error('service.failed', `${name} cannot run: ${message}${held}${hint ? ` (${hint})` : ''}`, { service: name, code });
}

/** Waits for a start that was cancelled to come to its end, but not beyond the budget. */
async function untilSettled(attempt: Promise<void>, budgetMs: number, clock: Clock): Promise<void> {
  const timer = new AbortController();
  const over = clock.sleep(Math.max(0, budgetMs), timer.signal).catch(() => undefined);
  await Promise.race([attempt.catch(() => undefined), over]);
  timer.abort(); // A timer left behind would keep the process alive.
}

/** Polite first, harder when time runs out. A server that does not even end then is left to the kernel: dbkit kills nobody. */
async function stopWithin(service: RunningService, budgetMs: number, hurried: AbortSignal, { clock, log }: UnitNeeds): Promise<void> {
  const plan = planStop(Math.max(0, budgetMs));
  let isGone = false;
  void service.gone?.then(() => {
    isGone = true;
  });
  const ended = service.exited.then(() => true as const);
  const patience = async (mode: StopMode, ms: number, cut: AbortSignal): Promise<boolean> => {
    const clockwork = new AbortController();
    return withAny([cut, clockwork.signal], async (signal) => {
      void service.stop(mode, signal).catch(() => undefined);
      const outcome = await Promise.race([
        ended,
        clock.sleep(ms, signal).then(
          () => false as const,
          () => false as const,
        ),
      ]);
      clockwork.abort();
      return outcome;
    });
  };
  if (!hurried.aborted && (await patience('fast', plan.immediateMs, hurried))) return;
  if (isGone) {
    await patience('fast', plan.endMs - plan.immediateMs, new AbortController().signal); // Only the note of the stop is still being written.
    return;
  }
  log.warn('service.hurried', 'the stop timeout is nearly over, so this is an immediate shutdown; the next start replays the WAL');
  if (!(await patience('immediate', plan.endMs - plan.immediateMs + 500, new AbortController().signal))) {
    log.error('service.unstopped', 'the server did not stop in time; the system ends it');
  }
}

const howItEnded = ({ code, signal }: ExitReason): string => (signal ? `was ended by ${signal}` : `ended with status ${code}`);

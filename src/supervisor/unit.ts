import type { ServiceState, ServiceStatus } from '../control/status.ts';
import { bound, withAny } from '../kernel/deadline.ts';
import { DbkitError, isAbort, toFailure } from '../kernel/errors.ts';
import type { Clock, ExitReason, Logger } from '../kernel/machine.ts';
import type { RunningService, StopMode } from '../kernel/running-service.ts';
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

export function createUnit(service: Service, needs: UnitNeeds): Unit {
  const { clock, log } = needs;
  let state: ServiceState = 'waiting';
  let since = clock.now().toISOString();
  let running: RunningService | undefined;
  let attempt: Promise<void> = Promise.resolve();
  let cancel = new AbortController();
  let failure: ServiceStatus['failure'] = null;
  let note: string | null = null;
  let recovery: ServiceStatus['recovery'] = null;
  let restarts = 0;
  const deathsMs: number[] = [];

  const enter = (next: ServiceState): void => {
    state = next;
    since = clock.now().toISOString();
    needs.changed();
  };

  async function bringUp(signal: AbortSignal): Promise<void> {
    failure = null;
    note = null;
    recovery = null;
    try {
      enter('preparing');
      await service.prepare(signal);
      await rememberRecovery(); // Now, too: should the start be cut off, the next boot still knows what was done.
      enter('starting');
      running = await service.start(signal);
    } catch (cause) {
      await rememberRecovery();
      throw cause;
    }
    await rememberRecovery(clock.now().toISOString());
    if (signal.aborted) return; // Whoever stops it waits for this, and stops what has come up.
    void watch(running, signal);
    enter('ready');
    log.info('service.ready', `${service.name} is ready`, { service: service.name, pid: running.pid });
  }

  async function rememberRecovery(readyAt?: string): Promise<void> {
    const report = service.lastRecovery?.();
    if (!report) return;
    const isTold = report.losses.some((loss) => 'oldBytes' in loss && loss.oldBytes === report.quarantine);
    const where = report.quarantine === null || isTold ? '' : `; the old bytes are in ${report.quarantine}`;
    recovery = report.decision;
    note = `${report.decision}: ${report.because}; lost: ${report.lost}${where}`;
    await needs.recovered({ ...report, trigger: 'start', ...(readyAt ? { readyAt } : {}) });
  }

  /** A death that nobody asked for: the policy decides; preparing again is what makes PostgreSQL's death go through inspection. */
  async function watch(service_: RunningService, signal: AbortSignal): Promise<void> {
    const exit = await service_.exited;
    if (running !== service_) return;
    running = undefined;
    if (state === 'stopping' || signal.aborted) return;
    deathsMs.push(clock.monotonicMs());
    log.error('service.died', `${service.name} ${howItEnded(exit)}`, { service: service.name });
    const decision = needs.decideRestart(service.restart, exit, deathsMs, clock.monotonicMs());
    if (!decision.restart)
      return giveUp(new DbkitError('service.failed', `${service.name} ${howItEnded(exit)} and is not started again: ${decision.because}`));
    enter('restarting');
    attempt = revive(decision.afterMs, signal);
  }

  async function revive(afterMs: number, signal: AbortSignal): Promise<void> {
    try {
      await clock.sleep(afterMs, signal);
      restarts += 1;
      await bringUp(signal);
    } catch (cause) {
      if (isAbort(cause)) return;
      giveUp(cause);
    }
  }

  function giveUp(cause: unknown): void {
    settleFailure(cause);
    if (service.onFail === 'exit') needs.failed(cause);
  }

  function settleFailure(cause: unknown): void {
    const { code, message, hint } = toFailure(cause);
    failure = { code, message, hint };
    enter(service.onFail === 'hold' ? 'held' : 'failed');
    if (service.onFail !== 'exit') {
      const held =
        service.onFail === 'hold'
          ? '; it is held back: `dbkit status` shows why, `dbkit recover` goes on from here'
          : '; the others go on without it';
      log.error('service.failed', `${service.name} cannot run: ${message}${held}${hint ? ` (${hint})` : ''}`, {
        service: service.name,
        code,
      });
    }
  }

  return {
    name: service.name,
    service,
    state: () => state,
    status: () => ({
      name: service.name,
      state,
      pid: running?.pid ?? null,
      since,
      restarts,
      note,
      recovery,
      failure,
      details: running?.details ?? {},
    }),
    start(outer) {
      if (state === 'ready' || state === 'preparing' || state === 'starting') return attempt;
      cancel = new AbortController();
      const { signal } = bound([outer, cancel.signal]); // For as long as it runs: its death is a start of its own.
      attempt = bringUp(signal).catch((cause: unknown) => {
        if (isAbort(cause)) {
          if (outer.aborted) throw cause;
          return; // Stopped by name in the middle of its start; the others go on.
        }
        settleFailure(cause);
        if (service.onFail === 'exit') throw cause;
      });
      return attempt;
    },
    async stop(budgetMs, hurried) {
      const isUnderWay = state === 'preparing' || state === 'starting' || state === 'restarting';
      if (!running && !isUnderWay) return; // Held, failed or never begun: its reason stays to be read.
      const begunMs = clock.monotonicMs();
      enter('stopping');
      cancel.abort();
      if (!running) await untilSettled(attempt, budgetMs, clock);
      const left = budgetMs - (clock.monotonicMs() - begunMs);
      if (running) await stopWithin(running, Math.min(left, service.stopTimeoutMs), hurried, needs); // Also one that was ready just now.
      running = undefined;
      enter('stopped');
      log.info('service.stopped', `${service.name} is stopped`, { service: service.name });
    },
    reload: async () => running?.reload?.(),
  };
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
  log.warn('service.hurried', 'the time to stop is nearly over: stopping immediately; the next start replays the WAL');
  if (!(await patience('immediate', plan.endMs - plan.immediateMs + 500, new AbortController().signal))) {
    log.error('service.unstopped', 'the server did not end in time and is left to the system');
  }
}

const howItEnded = ({ code, signal }: ExitReason): string => (signal ? `was ended by ${signal}` : `ended with status ${code}`);

import { DbkitError } from '../../kernel/errors.ts';
import type { Child, Clock, ExitReason, Logger } from '../../kernel/machine.ts';

const LIVED_MS = 10_000;
const BACKOFF_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** Deaths in a row, none of them after it had lived, after which something must be looked at. */
const DEATHS_MAX = 8;

export interface PatroniKeeperNeeds {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  spawn(): Promise<Child>;
  /** Before each start: no server may run that could be a leader of the past. */
  beforeStart(signal: AbortSignal): Promise<void>;
}

/** Keeps one Patroni running: it is started again whenever it ends. */
export interface PatroniKeeper {
  readonly pid: () => number | undefined;
  kill(signal: NodeJS.Signals): void;
  /** Resolves after it was told to end; rejects with `service.failed` where it ends again and again at once. */
  keep(signal: AbortSignal): Promise<ExitReason>;
  /** From now on its end is its end. */
  letGo(): void;
}

export function createPatroniKeeper(needs: PatroniKeeperNeeds): PatroniKeeper {
  let child: Child | undefined;
  let isLetGo = false;
  const keep = async (signal: AbortSignal): Promise<ExitReason> => {
    let deaths = 0;
    let backoffMs = BACKOFF_MS;
    for (;;) {
      await needs.beforeStart(signal);
      const begunMs = needs.clock.monotonicMs();
      child = await needs.spawn();
      if (isLetGo || signal.aborted) child.kill('SIGTERM'); // It was told to end while it was started.
      const exit = await child.exited;
      child = undefined;
      if (isLetGo || signal.aborted) return exit;
      const hasLived = needs.clock.monotonicMs() - begunMs > LIVED_MS;
      deaths = hasLived ? 1 : deaths + 1;
      backoffMs = hasLived ? BACKOFF_MS : Math.min(BACKOFF_MAX_MS, backoffMs * 2);
      const how = exit.signal ? `was ended by ${exit.signal}` : `ended with status ${exit.code}`;
      if (deaths >= DEATHS_MAX) throw new DbkitError('service.failed', `Patroni ${how}, ${deaths} times in a row`);
      needs.log.warn('patroni.ended', `Patroni ${how}, and is started again`);
      await needs.clock.sleep(backoffMs, signal).catch(() => undefined);
      if (signal.aborted) return exit;
    }
  };
  return {
    pid: () => child?.pid,
    kill: (name) => child?.kill(name),
    keep,
    letGo: () => {
      isLetGo = true;
    },
  };
}

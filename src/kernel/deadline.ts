import { setMaxListeners } from 'node:events';

/**
 * A signal that fires with any of others, or when a time is over. Its own timer and listeners hold it: in Node 20 a signal made by
 * AbortSignal.any of AbortSignal.timeout may be collected before it fires, and whoever waits for it then waits for ever
 * (nodejs/node#57736).
 */
export interface Bound {
  readonly signal: AbortSignal;
  /** The time was over, rather than one of the others having fired. */
  isLate(): boolean;
  /** Takes timer and listeners back; idempotent. A signal that has not fired then never will. */
  release(): void;
}

/** Must be released. Without `timeoutMs` there is no limit but the others. */
export function bound(signals: readonly AbortSignal[], timeoutMs?: number): Bound {
  const ending = new AbortController();
  let isLate = false;
  const releases: (() => void)[] = [];
  const release = (): void => {
    for (const one of releases.splice(0)) one();
  };
  const end = (reason: unknown): void => {
    release();
    ending.abort(reason);
  };
  for (const signal of signals) {
    if (signal.aborted) {
      end(signal.reason);
      break;
    }
    const follow = (): void => end(signal.reason);
    setMaxListeners(0, signal); // Twenty probes follow one signal, and each lets go of it: that is no leak.
    signal.addEventListener('abort', follow, { once: true });
    releases.push(() => signal.removeEventListener('abort', follow));
  }
  if (timeoutMs !== undefined && !ending.signal.aborted) {
    const timer = setTimeout(() => {
      isLate = true;
      end(new DOMException(`not done within ${Math.round(timeoutMs / 100) / 10} s`, 'TimeoutError'));
    }, timeoutMs);
    releases.push(() => clearTimeout(timer));
  }
  return { signal: ending.signal, isLate: () => isLate, release };
}

/** Runs `work` with a signal that fires with any of these, and waits for its end. */
export async function withAny<T>(signals: readonly AbortSignal[], work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const limit = bound(signals);
  try {
    return await work(limit.signal);
  } finally {
    limit.release();
  }
}

/** Runs `work` with a signal of its own. Rejects with the signal's reason when it fires first, also where the work does not listen. */
export async function within<T>(
  signals: readonly AbortSignal[],
  timeoutMs: number | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = bound(signals, timeoutMs);
  const { signal } = limit;
  let stop = (): void => undefined;
  const over = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([work(signal), over]);
  } finally {
    signal.removeEventListener('abort', stop);
    limit.release();
  }
}

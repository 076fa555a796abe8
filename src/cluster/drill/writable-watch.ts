import type { Connection } from '../../instance/connection.ts';
import { within } from '../../kernel/deadline.ts';
import type { Clock } from '../../kernel/machine.ts';
import type { Place } from '../members.ts';
import { type Interval, overlapMs } from './overlap.ts';
import { openAt, type WriterLogin } from './writers.ts';

/** Asks every server itself, ten times a second, whether it takes writes. */
export interface WritableWatch {
  /** For how long two of them did, so far. */
  twoWritableMs(): number;
  stop(): Promise<void>;
}

const EVERY_MS = 100;
const LIMIT_MS = 500;

export function watchWritable(servers: readonly Place[], login: WriterLogin, clock: Clock): WritableWatch {
  const over = new AbortController();
  const intervals: Interval[][] = servers.map(() => []);
  const all = servers.map(async (place, index) => {
    while (!over.signal.aborted) {
      await followOne(place, intervals[index]!, { login, clock, signal: over.signal });
      await clock.sleep(EVERY_MS, over.signal).catch(() => undefined);
    }
  });
  return {
    twoWritableMs: () => overlapMs(intervals),
    stop: async () => {
      over.abort();
      await Promise.all(all);
    },
  };
}

interface Following {
  readonly login: WriterLogin;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** One session, until it ends: within it a server that took writes twice took them all the time between. */
async function followOne(place: Place, intervals: Interval[], { login, clock, signal }: Following): Promise<void> {
  const life = new AbortController();
  let interval: Interval | undefined;
  try {
    const session: Connection = await within([signal], LIMIT_MS, () => openAt({ name: 'write', place }, login, life.signal));
    while (!signal.aborted) {
      const askedMs = clock.monotonicMs();
      const [row] = await within([signal], LIMIT_MS, () =>
        session.query<{ writable: boolean }>('select not pg_catalog.pg_is_in_recovery() as writable'),
      );
      const isWritable = row!.writable;
      if (!isWritable) interval = undefined;
      else if (interval === undefined) {
        interval = { fromMs: clock.monotonicMs(), toMs: clock.monotonicMs() };
        intervals.push(interval);
      } else interval.toMs = Math.max(interval.fromMs, askedMs);
      await clock.sleep(EVERY_MS, signal);
    }
  } catch {
    // It is gone, or does not answer: asked again soon.
  } finally {
    life.abort();
  }
}

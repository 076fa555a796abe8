import { type Connection, sqlStateOf } from '../instance/connection.ts';
import { openPooler } from '../instance/sessions.ts';
import { within } from '../kernel/deadline.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import { type Place, placeOf } from './members.ts';
import { type PoolerView, viewOf } from './pooler-findings.ts';
import type { Login } from './server.ts';

/** PgBouncer between a switchover and its clients: while it is paused they wait, and see no error (pgbouncer(1), "Admin console"). */
export interface Pooler {
  /** Lets running transactions end and holds the next ones back. Rejects with `service.failed` when they do not end in time; it is then paused half. */
  pause(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Lets clients go on; also after half a pause, and where nothing was paused. */
  resume(signal: AbortSignal): Promise<void>;
  /** Never rejects but for the signal. */
  look(signal: AbortSignal): Promise<PoolerView>;
}

const CONNECT_MS = 2_000;
const LOOK_MS = 2_000;
const RESUME_MS = 5_000;

/** `login`: one of its admin_users. */
export function createPooler(address: string, login: Login): Pooler {
  const place: Place = placeOf(address);
  const inConsole = <T>(timeoutMs: number, signal: AbortSignal, work: (session: Connection) => Promise<T>): Promise<T> =>
    within([signal], timeoutMs, async (bounded) => {
      const session = await openPooler({ ...login, socketDir: place.host, port: place.port }, CONNECT_MS, bounded);
      try {
        return await work(session);
      } finally {
        void session.end();
      }
    });
  return {
    pause: (timeoutMs, signal) =>
      inConsole(timeoutMs, signal, async (session) => {
        await session.query('PAUSE').catch(async (cause: unknown) => {
          if (sqlStateOf(cause) === undefined) throw cause;
          await session.query('RESUME'); // Left paused by a dbkit that was killed: it says so by an error.
          await session.query('PAUSE');
        });
      }).catch((cause: unknown) => {
        signal.throwIfAborted();
        throw new DbkitError(
          'service.failed',
          `PgBouncer at ${address} did not pause its clients within ${timeoutMs / 1000} s: ${wordsOf(cause)}`,
          {
            hint: 'end long transactions first, or add --no-pause: clients then see errors for a moment',
            cause,
          },
        );
      }),
    resume: (signal) =>
      inConsole(RESUME_MS, signal, async (session) => {
        await session.query('RESUME').catch((cause: unknown) => {
          if (sqlStateOf(cause) === undefined) throw cause; // Any answer at all means that it was not paused.
        });
      }),
    look: (signal) =>
      inConsole(LOOK_MS, signal, async (session) => {
        const states = await session.query('SHOW STATE').catch((cause: unknown) => {
          if (sqlStateOf(cause) === undefined) throw cause;
          return undefined; // Unknown before 1.19.
        });
        return viewOf(address, { states, databases: await session.query('SHOW DATABASES'), pools: await session.query('SHOW POOLS') });
      }).catch((cause: unknown): PoolerView => {
        signal.throwIfAborted();
        return { address, trouble: wordsOf(cause).split('\n')[0]!, paused: null, waiting: 0, longestWaitSeconds: 0 };
      }),
  };
}

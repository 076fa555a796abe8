import { open } from 'node:fs/promises';
import type { Connection } from '../../instance/connection.ts';
import { openAsRole, openAsSuperuser, type ServerAddress } from '../../instance/sessions.ts';
import { bound } from '../../kernel/deadline.ts';
import type { Clock } from '../../kernel/machine.ts';
import type { Place } from '../members.ts';
import type { Login } from '../server.ts';

/** An address that clients write to. */
export interface Endpoint {
  readonly name: 'write' | 'pooler';
  readonly place: Place;
}

/** TLS is asked of a server, and not of PgBouncer, whose own it would be. */
export type WriterLogin = Login & Pick<ServerAddress, 'sslMode' | 'sslRootCert'>;

export interface Acked {
  readonly writer: number;
  readonly row: number;
}

/** Clients that write one row after another, and note each that was acknowledged in a ledger that is synced before the next one. */
export interface Writers {
  /** Times of acknowledgements by address, in their order. */
  acksMs(endpoint: string): readonly number[];
  acked(): readonly Acked[];
  errors(): number;
  stop(): Promise<void>;
}

const EACH = 2;
const EVERY_MS = 40;
const CONNECT_MS = 3_000;
const AGAIN_MS = 50;
/** In a schema of its own: nobody else's table can be met there. */
export const SCHEMA = 'dbkit_drill';
export const TABLE = `${SCHEMA}.rows`;

const DATABASE = 'postgres';

/**
 * A superuser's session whose commits wait for the standby, as an application's do. PgBouncer passes no settings on, so through it the search_path
 * is the database's: every name in a statement is qualified.
 */
export async function openAt({ name, place }: Endpoint, login: WriterLogin, signal: AbortSignal): Promise<Connection> {
  const { superuser, superuserPassword, requireAuth, sslMode, sslRootCert } = login;
  const { host: socketDir, port } = place;
  if (name === 'pooler') {
    const target = { socketDir, port, user: superuser, database: DATABASE, password: superuserPassword?.reveal(), requireAuth };
    return openAsRole(target, { connectTimeoutMs: CONNECT_MS }, signal);
  }
  const address = { socketDir, port, superuser, superuserPassword, requireAuth, sslMode, sslRootCert };
  return openAsSuperuser(address, DATABASE, { connectTimeoutMs: CONNECT_MS, commits: 'kept' }, signal);
}

/** Two clients at each address; one that has waited `patienceMs` for a commit gives up, which is an error. */
export async function startWriters(
  endpoints: readonly Endpoint[],
  {
    login,
    ledger,
    clock,
    patienceMs,
  }: { readonly login: WriterLogin; readonly ledger: string; readonly clock: Clock; readonly patienceMs: number },
): Promise<Writers> {
  const over = new AbortController();
  const acks = new Map<string, number[]>(endpoints.map(({ name }) => [name, []]));
  const acked: Acked[] = [];
  let errors = 0;
  const file = await open(ledger, 'a', 0o600);
  const insert = async (session: Connection, endpoint: Endpoint, writer: number, row: number): Promise<void> => {
    await session.query(`insert into ${TABLE} (writer, row) values ($1, $2)`, [writer, row]);
    acks.get(endpoint.name)!.push(clock.monotonicMs());
    acked.push({ writer, row });
    await file.appendFile(`${writer} ${row}\n`);
    await file.datasync();
  };
  const write = async (endpoint: Endpoint, writer: number): Promise<void> => {
    let row = 0; // Each try has a number of its own: one that failed may be there nevertheless.
    while (!over.signal.aborted) {
      const life = new AbortController();
      const session = await bounded([over.signal, CONNECT_MS], (signal) => openAt(endpoint, login, either(life, signal))).catch(
        () => undefined,
      );
      while (session !== undefined && !over.signal.aborted) {
        row += 1;
        const isDone = await bounded([over.signal, patienceMs], () => insert(session, endpoint, writer, row)).then(
          () => true,
          () => false,
        );
        if (!isDone) break;
        await clock.sleep(EVERY_MS, over.signal).catch(() => undefined);
      }
      life.abort(); // A server that does not answer is not waited for.
      if (over.signal.aborted) return;
      errors += 1;
      await clock.sleep(AGAIN_MS, over.signal).catch(() => undefined);
    }
  };
  const all = endpoints.flatMap((endpoint, at) => Array.from({ length: EACH }, (_one, index) => write(endpoint, at * EACH + index)));
  return {
    acksMs: (name) => acks.get(name) ?? [],
    acked: () => acked,
    errors: () => errors,
    stop: async () => {
      over.abort();
      await Promise.all(all);
      await file.close();
    },
  };
}

/** Fires with `life`, and with `signal` while the session is opened. */
function either(life: AbortController, signal: AbortSignal): AbortSignal {
  signal.addEventListener('abort', () => life.abort(), { once: true });
  return life.signal;
}

/** No statement timeout: a server that gives up waiting for its standby would acknowledge what only it has. */
async function bounded<T>([over, patienceMs]: readonly [AbortSignal, number], work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const limit = bound([over], patienceMs);
  try {
    const late = new Promise<never>((_resolve, reject) =>
      limit.signal.addEventListener('abort', () => reject(new Error('late')), { once: true }),
    );
    return await Promise.race([work(limit.signal), late]);
  } finally {
    limit.release();
  }
}

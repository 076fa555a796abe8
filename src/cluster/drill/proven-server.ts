import { join } from 'node:path';
import { serverOn } from '../../instance/guard/preflight.ts';
import { openForServer } from '../../instance/sessions.ts';
import { within } from '../../kernel/deadline.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import type { Place } from '../members.ts';
import { lives, markOf, type ProcessMark, parentOf } from '../processes.ts';
import type { Login } from '../server.ts';

const LIMIT_MS = 2_000;
/** A path of the server's own: relative to its data directory. */
const SELF = `select pg_catalog.pg_read_binary_file('postmaster.pid') as file, pg_catalog.pg_backend_pid() as backend`;

/**
 * The server that answers here and works on this data directory: its postmaster.pid (pid, folder, start, port, socket, shared memory, state) is the
 * one on this machine, and the process that answers is a child of the process named there. Null where another one answers, or none.
 */
export async function provenServer(place: Place, dataDir: string, login: Login, signal: AbortSignal): Promise<ProcessMark | null> {
  const found = await serverOn(dataDir);
  if (typeof found !== 'object') return null;
  const mark = await markOf(found.pid);
  if (mark === undefined) return null;
  const address = { ...login, socketDir: place.host, port: place.port };
  try {
    return await within([signal], LIMIT_MS, async (bounded) => {
      const session = await openForServer(address, { connectTimeoutMs: LIMIT_MS, statementTimeoutMs: LIMIT_MS }, bounded);
      try {
        const [self] = await session.query<{ file: Buffer; backend: number }>(SELF);
        const isOwn = self!.file.toString() === (await readPlainText(join(dataDir, 'postmaster.pid')));
        return isOwn && (await parentOf(self!.backend)) === mark.pid && (await lives(mark)) ? mark : null;
      } finally {
        void session.end();
      }
    });
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof DbkitError || (cause instanceof Error && cause.name === 'TimeoutError')) return null; // Silence, or an answer that is a refusal.
    throw cause;
  }
}

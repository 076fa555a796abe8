import { join } from 'node:path';
import { parseControlFile } from '../../formats/control-file.ts';
import { serverOn } from '../../instance/guard/preflight.ts';
import { mayBeServer } from '../../instance/guard/program-of.ts';
import { unlessMissing } from '../../kernel/errors.ts';
import type { Clock } from '../../kernel/machine.ts';
import { isOwnTrouble } from '../../kernel/own-trouble.ts';
import { readPlain } from '../../machine/plain-file.ts';
import { childrenOf, signalTo } from '../processes.ts';

const QUIT_MS = 200;
const EVERY_MS = 10;
const never = new AbortController().signal;

/**
 * Ends the server on a data directory, whatever it does: an immediate shutdown, and 200 ms later SIGKILL for whoever is left of it; one that is
 * stopped hears nothing else. Its committed rows are in its WAL. Resolves with the pid; undefined where none ran. Rejects where dbkit is short of
 * descriptors: the server is told to end as far as it could be seen, and nobody may take it for gone.
 */
export async function fenceServer(dataDir: string, clock: Clock): Promise<number | undefined> {
  const server = await serverOn(dataDir);
  if (typeof server !== 'object') return undefined;
  const { pid } = server;
  const before = await seenChildren(pid);
  signalTo(pid, 'SIGQUIT');
  const endMs = clock.monotonicMs() + QUIT_MS;
  while (clock.monotonicMs() < endMs && (await mayBeServer(pid))) await clock.sleep(EVERY_MS, never);
  const left = await seenChildren(pid);
  for (const one of new Set([pid, ...before.pids, ...left.pids])) if (await mayBeServer(one)) signalTo(one, 'SIGKILL');
  if (left.trouble !== undefined) throw left.trouble; // A backend that is stopped outlives its postmaster.
  return pid;
}

/** The children that can be seen now; `trouble` of dbkit's own hides the others, and must not keep it from ending the postmaster. */
const seenChildren = (pid: number): Promise<{ readonly pids: readonly number[]; readonly trouble?: unknown }> =>
  childrenOf(pid).then(
    (pids) => ({ pids }),
    (cause: unknown) => {
      if (!isOwnTrouble(cause)) throw cause;
      return { pids: [], trouble: cause };
    },
  );

/** A server that runs on a data directory and takes writes, as far as its control file tells. Rejects where that cannot be read: it may take them. */
export async function writableServerOn(dataDir: string): Promise<number | undefined> {
  const server = await serverOn(dataDir);
  if (typeof server !== 'object') return undefined;
  const read = await readPlain(join(dataDir, 'global/pg_control')).then(parseControlFile, unlessMissing);
  return read && 'control' in read && read.control.state === 'in production' ? server.pid : undefined;
}

/** Ends a server as `pg_ctl stop` does, and fences it where it does not end in time. Resolves with its pid. */
export async function stopServer(
  dataDir: string,
  { timeoutMs, clock, signal }: { readonly timeoutMs: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<number | undefined> {
  const server = await serverOn(dataDir);
  if (typeof server !== 'object') return undefined;
  signalTo(server.pid, 'SIGINT'); // Fast (pg_ctl).
  const endMs = clock.monotonicMs() + timeoutMs;
  while (await mayBeServer(server.pid)) {
    if (clock.monotonicMs() >= endMs) return fenceServer(dataDir, clock);
    await clock.sleep(EVERY_MS, signal);
  }
  return server.pid;
}

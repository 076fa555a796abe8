import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseControlFile } from '../../formats/control-file.ts';
import { serverOn } from '../../instance/guard/preflight.ts';
import { programOf } from '../../instance/guard/program-of.ts';
import type { Clock } from '../../kernel/machine.ts';
import { childrenOf, signalTo } from '../processes.ts';

const QUIT_MS = 200;
const EVERY_MS = 10;
const never = new AbortController().signal;

/**
 * Ends the server on a data directory, whatever it does: an immediate shutdown, and 200 ms later SIGKILL for whoever is left of it; one that is
 * stopped hears nothing else. Its committed rows are in its WAL. Resolves with the pid; undefined where none ran.
 */
export async function fenceServer(dataDir: string, clock: Clock): Promise<number | undefined> {
  const server = await serverOn(dataDir);
  if (typeof server !== 'object') return undefined;
  const { pid } = server;
  const backends = await childrenOf(pid);
  signalTo(pid, 'SIGQUIT');
  const endMs = clock.monotonicMs() + QUIT_MS;
  while (clock.monotonicMs() < endMs && (await programOf(pid)) === 'postgres') await clock.sleep(EVERY_MS, never);
  for (const one of new Set([pid, ...backends, ...(await childrenOf(pid))]))
    if ((await programOf(one)) === 'postgres') signalTo(one, 'SIGKILL');
  return pid;
}

/** A server that runs on a data directory and takes writes, as far as its control file tells. */
export async function writableServerOn(dataDir: string): Promise<number | undefined> {
  const server = await serverOn(dataDir);
  if (typeof server !== 'object') return undefined;
  const read = await readFile(join(dataDir, 'global/pg_control')).then(parseControlFile, () => undefined);
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
  while ((await programOf(server.pid)) === 'postgres') {
    if (clock.monotonicMs() >= endMs) return fenceServer(dataDir, clock);
    await clock.sleep(EVERY_MS, signal);
  }
  return server.pid;
}

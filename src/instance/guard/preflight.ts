import { readlink, realpath, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DbkitError, errnoOf, isDenied, unlessMissing } from '../../kernel/errors.ts';
import type { Child, System } from '../../kernel/machine.ts';
import { roomAt } from '../../machine/disk-usage.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import { signalStop } from '../server/server.ts';
import { clusterEntries, present, type Volume, volumeOf } from '../volume.ts';
import { mayBeServer, programOf } from './program-of.ts';
import { judgeDirectory, judgeVolume } from './refusals.ts';

const TAKEOVER_MS = 30_000;

/** Refuses a directory that holds somebody else's files, before anything is written to it. */
export async function refuseForeign(dataDir: string): Promise<void> {
  const found = await stat(dataDir).catch(() => undefined);
  const kind = found === undefined ? 'nothing' : found.isDirectory() ? 'directory' : 'other';
  const entries = kind === 'other' ? [] : await entriesOf(dataDir);
  judgeDirectory(dataDir, { kind, entries, isBeingReplaced: kind === 'directory' && (await present(volumeOf(dataDir).journal)) });
}

const entriesOf = (dataDir: string): Promise<readonly string[]> =>
  clusterEntries(dataDir).catch((cause: unknown) => {
    if (errnoOf(cause) === 'EACCES') return []; // Whose it is, is the next question, and has its own answer.
    throw cause;
  });

/** Refuses a volume that takes no writes: the server would damage nothing, but would not live long either. */
export async function refuseFullVolume(dataDir: string): Promise<void> {
  judgeVolume(dataDir, await roomAt(dataDir));
}

/**
 * The meaning of postmaster.pid on this machine: nothing there, left behind, or a live server of this very directory. Rejects with what a disk says
 * that does not answer, and where dbkit is short of descriptors: a server that it cannot see is not gone.
 */
export async function serverOn(dataDir: string): Promise<'none' | 'stale' | { readonly pid: number }> {
  const text = await readPlainText(join(dataDir, 'postmaster.pid')).catch((cause: unknown) => {
    const errno = errnoOf(cause) ?? '';
    if (errno === 'EISDIR') return '';
    if (errno === 'ENOTDIR' || isDenied(cause)) return undefined; // Who may not look is told so by another question.
    return unlessMissing(cause);
  });
  if (text === undefined) return 'none';
  const pid = Math.abs(Number(text.split('\n')[0])); // Single-user mode writes its pid with a minus.
  if (!Number.isInteger(pid) || pid === 0) return 'stale';
  const program = await programOf(pid);
  if (program !== 'postgres') return 'stale';
  const directory = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  const home = await realpath(dataDir).catch(() => dataDir); // PGDATA may lie behind a link.
  return directory === undefined || directory === home || directory.startsWith(`${home}/`) ? { pid } : 'stale';
}

/** Sets a postmaster.pid aside. Only with the volume's lock held and /proc saying that no postgres is behind it (DESIGN.md section 6). */
export async function clearStalePid(volume: Volume, system: System): Promise<void> {
  await rename(join(volume.dataDir, 'postmaster.pid'), join(dirname(volume.lock), 'postmaster.pid.stale'));
  system.log.info('pid-file.set-aside', 'postmaster.pid was left behind by a server that is gone; set aside');
}

/** Ends a server that an earlier dbkit started and that outlived it, cleanly: it holds our lock, so nobody else supervises it. */
export async function takeOver(dataDir: string, pid: number, system: System, signal: AbortSignal): Promise<void> {
  system.log.warn(
    'server.taken-over',
    `the server of an earlier dbkit is still running without its supervisor (pid ${pid}); stopping it cleanly to take over`,
    { pid },
  );
  const orphan: Child = { pid, exited: new Promise(() => undefined), kill: (name) => process.kill(pid, name) };
  signalStop(orphan, 'fast');
  const deadlineMs = system.clock.monotonicMs() + TAKEOVER_MS;
  while (await mayBeServer(pid)) {
    if (system.clock.monotonicMs() > deadlineMs) {
      throw new DbkitError('server.running', `the server of an earlier dbkit (pid ${pid}) on ${dataDir} does not stop`, {
        hint: 'check what it is doing, then try again; it was told to shut down fast',
      });
    }
    await system.clock.sleep(50, signal);
  }
}

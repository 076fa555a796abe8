import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname } from 'node:path';
import { bound } from '../kernel/deadline.ts';
import { DbkitError, errnoOf, isDenied } from '../kernel/errors.ts';
import type { HeldLock, Locks, Owner } from '../kernel/machine.ts';
import { runWithDescriptor } from './child.ts';
import { clock } from './clock.ts';
import { readPlainText } from './plain-file.ts';
import { asCaller } from './privileges.ts';

/** The words of the lock file for whoever is refused; information, never proof. */
interface Holder {
  readonly what: string;
  readonly host: string;
  readonly pid: number;
  readonly since: string;
}

/** flock(1): somebody else holds it. Every other status is a lock that cannot be had here. */
const CONFLICT = 1;

/**
 * flock(2) on an open file description that Node keeps: `flock -n -x 3` locks the descriptor it inherits, and the kernel frees it when the
 * last process that has it is gone (see docs/adr/0001). Works between containers on one volume, as the inode is the same.
 */
export const createLocks = (env: Readonly<Record<string, string>>): Locks => ({
  async acquire(path, what, owner) {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK, 0o644);
    try {
      await requireFile(file, path);
      const status = await runWithDescriptor('flock', ['-n', '-x', '3'], { fd: file.fd, env });
      if (status !== 0 && status !== 'missing') throw refused(path, await file.readFile('utf8'));
      await sign(file, what, owner);
      return held(path, file, status === 'missing' ? 'none' : 'kernel');
    } catch (cause) {
      await file.close();
      throw cause;
    }
  },
  async guard(directory, note) {
    const file = openToLock(directory);
    const status = await runWithDescriptor('flock', ['-n', '-x', '3'], { fd: file.fd, env }).catch(async (cause: unknown) => {
      await file.close();
      throw cause;
    });
    if (status === 0) return held(directory, file, 'kernel');
    await file.close();
    if (status === CONFLICT) throw refused(note, await readPlainText(note).catch(() => ''));
    return undefined; // No flock(1) here, or a file system that wants a file that is open for writing (NFS: flock(2)).
  },
  async hold(path, mode) {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = await runWithDescriptor('flock', ['-n', mode === 'shared' ? '-s' : '-x', '3'], { fd: file.fd, env }).catch(
      async (cause: unknown) => {
        await file.close();
        throw cause;
      },
    );
    if (status === 0 || status === 'missing') return held(path, file, status === 'missing' ? 'none' : 'kernel');
    await file.close();
    return undefined;
  },
  async turn(paths, timeoutMs, signal) {
    for (const path of paths) {
      const lock = await queued(path, ['-n'], env, signal);
      if (lock) return lock;
    }
    const path = paths[process.pid % paths.length]; // Whoever comes at the same time has another number, as a rule.
    if (path === undefined) return undefined;
    const limit = bound([signal], timeoutMs);
    try {
      return await queued(path, [], env, limit.signal);
    } finally {
      limit.release();
    }
  },
});

/** Alone on a file that nobody else's user can open; undefined when it is not to be had, or there is no room for it here. */
async function queued(path: string, how: readonly string[], env: Readonly<Record<string, string>>, signal: AbortSignal) {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600).catch(() => undefined);
  if (file === undefined) return undefined;
  const status = await runWithDescriptor('flock', [...how, '-x', '3'], { fd: file.fd, env, signal }).catch(() => 'missing');
  if (status === 0) return held(path, file, 'kernel');
  await file.close();
  return undefined;
}

/**
 * A data directory that nobody may enter is found before its mode is mended. Only locked: nothing in it is reached by this. A link is followed
 * with the rights of the server's user, who could have placed it: it leads no further than that user may go.
 */
function openToLock(directory: string): Open {
  const open = (flags: number) => openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | flags);
  let fd: number;
  try {
    fd = open(isLink(directory) ? 0 : constants.O_NOFOLLOW);
  } catch (cause) {
    if (!isDenied(cause) || isLink(directory)) throw cause;
    fd = asCaller(() => open(constants.O_NOFOLLOW));
  }
  return { fd, close: async () => closeSync(fd) };
}

const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

type Open = Pick<FileHandle, 'fd' | 'close'>;

function held(path: string, file: Open, guard: HeldLock['guard']): HeldLock {
  let open = true;
  return {
    path,
    fd: file.fd,
    guard,
    async release() {
      if (open) await file.close();
      open = false;
    },
  };
}

/** Of a pipe that somebody has put in its place the holder's words would be waited for without end. */
async function requireFile(file: FileHandle, path: string): Promise<void> {
  if ((await file.stat()).isFile()) return;
  throw new DbkitError('file.exists', `${path} is no regular file`, {
    hint: 'find out who put it there, and move it away; nothing was changed',
  });
}

async function sign(file: FileHandle, what: string, owner: Owner | undefined): Promise<void> {
  const holder: Holder = { what, host: hostname(), pid: process.pid, since: clock.now().toISOString() };
  await file.truncate(0);
  await file.write(`${JSON.stringify(holder)}\n`, 0).catch((cause: unknown) => {
    if (errnoOf(cause) !== 'ENOSPC') throw cause; // A lock without a name still holds.
  });
  if (owner && process.getuid?.() === 0) await file.chown(owner.uid, owner.gid);
}

function refused(path: string, text: string): DbkitError {
  const holder = readHolder(text);
  const who = holder ? `${holder.what} on ${holder.host} (pid ${holder.pid}, since ${holder.since})` : 'another process';
  const folder = dirname(path);
  return new DbkitError('lock.held', `${basename(folder) === '.dbkit' ? dirname(folder) : folder} is in use by ${who}`, {
    hint: 'stop that one first, or wait and try again; nothing was changed',
  });
}

function readHolder(text: string): Holder | undefined {
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return undefined; // Its holder was about to write it.
  }
}

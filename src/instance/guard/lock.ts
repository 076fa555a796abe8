import { fstatSync } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DbkitError, errnoOf, wordsOf } from '../../kernel/errors.ts';
import type { HeldLock, Identity, System } from '../../kernel/machine.ts';
import { isOwnTrouble } from '../../kernel/own-trouble.ts';
import type { Volume } from '../volume.ts';

/**
 * Takes the volume's kernel lock for this process and, later, the postmaster: on PGDATA itself, which cannot be removed and made again while it
 * is held, and on the file in `.dbkit` that names the holder, which servers of earlier versions hold alone (docs/adr/0001). Rejects with
 * `lock.held` and the holder's name.
 */
export async function lockVolume(volume: Volume, owner: Identity, system: System): Promise<HeldLock> {
  const directory = await system.locks.guard(volume.dataDir, volume.lock);
  try {
    return joined(directory, await lockFile(volume, owner, system, directory !== undefined));
  } catch (cause) {
    await directory?.release();
    throw inWords(volume, cause);
  }
}

/** The descriptor that children get is the directory's, where that one could be had. */
function joined(directory: HeldLock | undefined, file: HeldLock | undefined): HeldLock {
  if (directory === undefined) return file!; // Without either, lockFile has rejected.
  const release = async (): Promise<void> => {
    await file?.release();
    await directory.release();
  };
  return { path: file?.path ?? directory.path, fd: directory.fd, guard: directory.guard, release };
}

/** An entry that is no lock file is set aside; where the directory is held, a file that cannot be had costs its holder's name only. */
async function lockFile(volume: Volume, owner: Identity, system: System, dispensable: boolean): Promise<HeldLock | undefined> {
  const { files, locks, log, clock } = system;
  const acquire = (): Promise<HeldLock> => locks.acquire(volume.lock, 'dbkit', owner);
  try {
    await files.makeDirectory(dirname(volume.lock), { mode: 0o700, owner });
    return await acquire().catch(async (cause: unknown) => {
      if (errnoOf(cause) === 'EACCES' && system.self.uid === 0) {
        system.rights.handOverTree(dirname(volume.lock), owner, new AbortController().signal); // Copied as root, with the data.
        return acquire();
      }
      if (errnoOf(cause) !== 'EISDIR') throw cause;
      const aside = `${volume.lock}.broken-${clock.now().toISOString().replace(/[-:.]/g, '')}`;
      await rename(volume.lock, aside);
      log.warn('lock.set-aside', `${volume.lock} was a directory, and was set aside as ${aside}`);
      return acquire();
    });
  } catch (cause) {
    if (!dispensable || cause instanceof DbkitError || !withoutName.has(errnoOf(cause) ?? '')) throw cause;
    log.warn('lock.unnamed', `${volume.lock} cannot be written, so a second dbkit cannot be told who holds ${volume.dataDir}`, {
      why: wordsOf(cause),
    });
    return undefined;
  }
}

/** An immutable file, or one that only root may open: the folder around it may be well. */
const withoutName = new Set(['EPERM', 'EACCES']);

function inWords({ dataDir, lock }: Volume, cause: unknown): unknown {
  const errno = errnoOf(cause);
  if (cause instanceof DbkitError || errno === undefined || isOwnTrouble(cause)) return cause;
  if (errno === 'EROFS')
    return new DbkitError('volume.read-only', `${dataDir} is on a read-only file system`, {
      hint: 'mount it writable; nothing was changed',
      cause,
    });
  if (errno === 'ENOSPC')
    return new DbkitError('volume.full', `the volume of ${dataDir} is full`, { hint: 'free some space there; nothing was changed', cause });
  return new DbkitError('recovery.refused', `${dirname(lock)} cannot be used as dbkit's own folder (${errno})`, {
    hint: `look at it (ls -la, lsattr) and move away what stands in its place; nothing was changed`,
    cause,
  });
}

/** True where the lock is on the very directory that `dataDir` is now; always where directories cannot be locked. */
export async function isOn({ fd }: HeldLock, dataDir: string): Promise<boolean> {
  const held = fstatSync(fd);
  if (!held.isDirectory()) return true;
  const now = await stat(dataDir).catch(() => undefined);
  return now?.ino === held.ino && now.dev === held.dev;
}

import { constants } from 'node:fs';
import { chmod, chown, copyFile, mkdir, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import type { Identity } from '../kernel/machine.ts';
import { bytes } from '../kernel/units.ts';
import { roomAt } from '../machine/disk-usage.ts';

/** The copy that is worked on, and how a file in it becomes the server's. */
export interface DamagedCopy {
  readonly dataDir: string;
  own(path: string): Promise<void>;
}

const PAGE_BYTES = 8192;

/** Only means something to the server that wrote it, or to a recovery that is not to happen. */
const leftBehind = new Set([
  'postmaster.pid',
  'postmaster.opts',
  '.dbkit',
  'dbkit.initializing',
  'standby.signal',
  'recovery.signal',
  'pg_stat_tmp',
]);
/** The disk, or the file's mode, says no: what can be had of the rest is still worth having. */
const unreadable = new Set(['EIO', 'EACCES', 'EPERM', 'ENOENT', 'ELOOP']);

/**
 * Copies a damaged cluster, sharing blocks where the file system can. Links are followed, so that tablespaces and WAL elsewhere are copied too
 * and nothing that is written to the copy reaches them. Resolves to what could not be read. Rejects with `volume.full` before it begins.
 */
export async function copyDamaged(source: string, target: string, owner: Identity | undefined, signal: AbortSignal): Promise<string[]> {
  await requireRoom(source, target, signal);
  const lost: string[] = [];
  const copy = async (path: string): Promise<void> => {
    signal.throwIfAborted();
    const [from, to] = [join(source, path), join(target, path)];
    try {
      const facts = await stat(from);
      if (facts.isDirectory()) {
        await mkdir(to, { recursive: true, mode: 0o700 });
        for (const name of await readdir(from)) if (path !== '' || !leftBehind.has(name)) await copy(join(path, name));
      } else if (facts.isFile()) {
        const holes = await copyFile(from, to, constants.COPYFILE_FICLONE).then(
          () => 0,
          (cause: unknown) => {
            if (errnoOf(cause) !== 'EIO') throw cause;
            return copyAround(from, to, facts.size, signal);
          },
        );
        if (holes > 0) lost.push(`${path} (${holes} pages of ${Math.ceil(facts.size / PAGE_BYTES)})`);
        await chmod(to, 0o600); // Whatever has happened to the original's.
      } else return; // A socket, a pipe: nobody's data.
      if (owner) await chown(to, owner.uid, owner.gid);
    } catch (cause) {
      if (!unreadable.has(errnoOf(cause) ?? '')) throw cause;
      lost.push(path);
    }
  };
  await copy('');
  return lost;
}

/** One bad sector is not a lost file. A page that the disk does not give back is made one that no server takes for sound, so that it is counted. */
async function copyAround(from: string, to: string, sizeBytes: number, signal: AbortSignal): Promise<number> {
  const [source, target] = [await open(from, 'r'), await open(to, 'w', 0o600)];
  let holes = 0;
  try {
    for (let offset = 0; offset < sizeBytes; offset += PAGE_BYTES) {
      signal.throwIfAborted();
      const page = Buffer.alloc(Math.min(PAGE_BYTES, sizeBytes - offset));
      try {
        await source.read(page, 0, page.length, offset);
      } catch (cause) {
        if (errnoOf(cause) !== 'EIO') throw cause;
        page.fill(0xff);
        holes += 1;
      }
      await target.write(page, 0, page.length, offset);
    }
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
  return holes;
}

async function requireRoom(source: string, target: string, signal: AbortSignal): Promise<void> {
  const size = async (path: string): Promise<number> => {
    signal.throwIfAborted();
    const facts = await stat(path).catch(() => undefined);
    if (!facts?.isDirectory()) return facts?.isFile() ? facts.blocks * 512 : 0;
    let total = 0;
    for (const name of await readdir(path).catch(() => [])) if (name !== '.dbkit') total += await size(join(path, name));
    return total;
  };
  await mkdir(target, { recursive: true, mode: 0o700 });
  const { freeBytes } = await roomAt(target);
  const needed = await size(source);
  if (needed > freeBytes)
    throw new DbkitError('volume.full', `a copy to work on needs ${bytes(needed)}, and ${bytes(freeBytes)} are free`, {
      hint: 'free some space, or set BACKUP_DIR to a larger volume; the damaged data is only read',
    });
}

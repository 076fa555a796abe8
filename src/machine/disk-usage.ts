import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../kernel/errors.ts';

export interface Volume {
  /** 'data', or 'data, WAL, backups' where one volume holds them all. */
  readonly what: string;
  readonly path: string;
  readonly usedBytes: number;
  readonly freeBytes: number;
  /** As df(1) reckons: what is reserved for root counts as neither. */
  readonly percent: number;
  /** The share of its inodes that is taken, on file systems that have a fixed number of them. */
  readonly inodesPercent: number;
}

/** The file system under a path. `freeFiles`: undefined where it does not count files. */
export interface Room {
  readonly sizeBytes: number;
  readonly freeBytes: number;
  readonly freeFiles: number | undefined;
}

/** The room at a path, or at the nearest folder above it that is there. Rejects as statfs(2) does. */
export async function roomAt(path: string): Promise<Room> {
  const { blocks, bavail, bsize, ffree, files } = await statfs((await nearestExisting(path)) ?? path);
  return { sizeBytes: blocks * bsize, freeBytes: bavail * bsize, freeFiles: files > 0 ? ffree : undefined };
}

/** How full the volume of a path is in percent, as `df` counts; 0 where it cannot be seen. */
export async function fullnessOf(path: string): Promise<number> {
  const [volume] = await volumesOf([['it', path]]);
  return Math.max(volume?.percent ?? 0, volume?.inodesPercent ?? 0);
}

/** The volumes under these paths, each once, with the names of all that lies on it. */
export async function volumesOf(places: readonly (readonly [what: string, path: string])[]): Promise<Volume[]> {
  const found = new Map<number, Volume>();
  for (const [what, wanted] of places) {
    const path = await nearestExisting(wanted);
    if (path === undefined) continue;
    const [{ dev }, volume] = await Promise.all([stat(path), statfs(path)]);
    const same = found.get(dev);
    const used = volume.blocks - volume.bfree;
    found.set(dev, {
      what: same ? `${same.what}, ${what}` : what,
      path: same?.path ?? path,
      usedBytes: used * volume.bsize,
      freeBytes: volume.bavail * volume.bsize,
      percent: Math.ceil((100 * used) / Math.max(1, used + volume.bavail)),
      inodesPercent: volume.files > 0 ? Math.ceil((100 * (volume.files - volume.ffree)) / volume.files) : 0,
    });
  }
  return [...found.values()];
}

/** A repository that has not been made yet will be on its parent's volume; what this user may not enter is left out. */
async function nearestExisting(path: string): Promise<string | undefined> {
  for (let at = path; ; at = dirname(at)) {
    const errno = await stat(at).then(
      () => undefined,
      (cause: unknown) => errnoOf(cause),
    );
    if (errno === undefined) return at;
    if (errno !== 'ENOENT' || at === dirname(at)) return undefined;
  }
}

import { readFile, realpath, stat } from 'node:fs/promises';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';

/** A place below a directory where something else is mounted. */
export interface MountPoint {
  /** Relative to the directory. */
  readonly path: string;
  readonly kind: 'file' | 'directory';
}

/**
 * The mounts below `directory`, from /proc/self/mountinfo (proc(5)): bind mounts of the same file system have one st_dev with what is around
 * them, and refuse a rename all the same. Empty where there is no such list; rejects where dbkit is short of descriptors to read it.
 */
export async function mountsBelow(directory: string): Promise<MountPoint[]> {
  const home = await realpath(directory).catch(() => directory);
  const text = await readMounts();
  const found = mountPoints(text, home).map(async (path): Promise<MountPoint[]> => {
    const stats = await stat(`${home}/${path}`).catch(() => undefined); // Hidden under another one.
    return stats === undefined ? [] : [{ path, kind: stats.isDirectory() ? 'directory' : 'file' }];
  });
  return (await Promise.all(found)).flat();
}

/** /proc/self/mountinfo; empty where there is none. Rejects where dbkit is short of descriptors: that is no volume without mounts. */
export const readMounts = async (): Promise<string> => (await readFile('/proc/self/mountinfo', 'utf8').catch(unlessOwnTrouble)) ?? '';

/** The innermost mount point that `path`, a real path, lies on; undefined where there is no list of mounts. */
export const mountAround = async (path: string): Promise<string | undefined> => innermost(await readMounts(), path);

/** Pure. */
export const innermost = (mountinfo: string, path: string): string | undefined =>
  pathsOf(mountinfo)
    .filter((mount) => mount === '/' || path === mount || path.startsWith(`${mount}/`))
    .sort((a, b) => b.length - a.length)[0];

/** The mount points strictly below `home`, relative to it, each once. Pure. */
export const mountPoints = (mountinfo: string, home: string): string[] => [
  ...new Set(
    pathsOf(mountinfo)
      .filter((path) => path.startsWith(`${home}/`))
      .map((path) => path.slice(home.length + 1)),
  ),
];

/** The kind of the file system that `path`, a real path, lies on (the field behind the dash); undefined where there is no list of mounts. Pure. */
export function fileSystemOf(mountinfo: string, path: string): string | undefined {
  const mount = innermost(mountinfo, path);
  const line = mountinfo.split('\n').findLast((one) => mount !== undefined && pathsOf(one)[0] === mount); // The last one covers the others.
  return / - (\S+) /.exec(line ?? '')?.[1];
}

/** Field 5 of each line; blanks, tabs, line ends and backslashes are written as octal numbers. */
const pathsOf = (mountinfo: string): string[] =>
  mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4])
    .filter((path) => path !== undefined)
    .map((path) =>
      Buffer.from(
        path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
        'latin1',
      ).toString(),
    );

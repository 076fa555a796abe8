import { lstat, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, isDenied } from '../kernel/errors.ts';
import { parseLabel } from '../kernel/labels.ts';
import type { Files, Identity } from '../kernel/machine.ts';
import { namesIn } from '../machine/is-there.ts';
import { isUnmounted } from './places.ts';

/** Names that a volume may hold without being anybody's data: file systems, editors and version control leave them. */
const bystanders = new Set([
  '.dbkit',
  'lost+found',
  '.DS_Store',
  '.gitkeep',
  '.gitignore',
  '.keep',
  '.snapshot',
  '.snapshots',
  'Thumbs.db',
  'desktop.ini',
]);

/**
 * The names of dbkit on the data's own volume, so that it travels with the data and a rename always reaches it: PGDATA itself may be a
 * mount point (DESIGN.md section 5), hence a folder inside.
 */
export interface Volume {
  readonly dataDir: string;
  readonly lock: string;
  readonly journal: string;
  /** Published with a new cluster and removed once its server has been ready: while it is there, every entry beside it is dbkit's own. */
  readonly initializing: string;
  /** A complete new cluster, before it takes PGDATA's place. */
  readonly incoming: string;
  /** The same for a restore that a person asked for: the server may run meanwhile, and a restart must not mistake it for its own. */
  readonly staged: string;
  /** For files that a program must read while it is set up; gone with the run. */
  readonly temporary: string;
  /** Small files that a repair replaced, newest wins. */
  readonly setAside: string;
}

/** Pure: where things are in a data directory. */
export function volumeOf(dataDir: string): Volume {
  const inside = (name: string): string => join(dataDir, '.dbkit', name);
  return {
    dataDir,
    lock: inside('lock'),
    journal: inside('journal.json'),
    initializing: join(dataDir, 'dbkit.initializing'),
    incoming: inside('incoming'),
    staged: inside('staged'),
    temporary: inside('temporary'),
    setAside: inside('set-aside'),
  };
}

/** PGDATA's own entries, bystanders left out; empty when the directory does not exist. */
export async function clusterEntries(directory: string): Promise<string[]> {
  const names = await namesIn(directory);
  return names.filter((name) => !bystanders.has(name)).sort();
}

/** Every place where replaced data may be: the repository's, and the data's own volume where a rename does not reach that. */
export const quarantineRoots = (dataDir: string, backupDir: string): readonly [shared: string, own: string] => [
  join(backupDir, 'quarantine'),
  join(dataDir, '.dbkit', 'quarantine'),
];

/** Where replaced data goes: the repository's quarantine when a rename gets there, else a folder on the data's own volume. */
export async function quarantineRoot(volume: Volume, backupDir: string, owner: Identity, files: Files): Promise<string> {
  const [shared, own] = quarantineRoots(volume.dataDir, backupDir);
  const probe = join(volume.dataDir, '.dbkit', 'rename-probe');
  try {
    if (await isUnmounted(join(volume.dataDir, '.dbkit'), backupDir))
      throw new Error('what is written there now would be hidden by its mount');
    await files.makeDirectory(shared, { mode: 0o700, owner });
    await files.makeDirectory(probe, { mode: 0o700, owner });
    await rename(probe, join(shared, '.rename-probe')); // Two bind mounts of one filesystem have one st_dev and still refuse a rename.
    await rmdir(join(shared, '.rename-probe'));
    return shared;
  } catch {
    await rm(probe, { recursive: true, force: true });
    await files.makeDirectory(own, { mode: 0o700, owner });
    return own;
  }
}

/** Before its mode is mended nothing in a directory is replaced, and then it is asked again. */
const unlessClosed = (cause: unknown): string[] => {
  if (isDenied(cause)) return [];
  throw cause;
};

/** How often the data was replaced since `since`: the quarantine itself is the record, so the count survives a new container. */
export async function replacementsSince(volume: Volume, backupDir: string, since: Date): Promise<number> {
  const roots = quarantineRoots(volume.dataDir, backupDir);
  const names = (await Promise.all(roots.map((root) => namesIn(root).catch(unlessClosed)))).flat();
  return names.map(parseLabel).filter((label) => label?.kind === 'corrupt' && label.at >= since).length;
}

/** True when `path` exists, a dangling link included. Rejects with what a disk says that does not answer. */
export async function present(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (cause: unknown) => {
      if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoOf(cause) ?? '')) return false; // Who may not look is told so by another question.
      throw cause;
    },
  );
}

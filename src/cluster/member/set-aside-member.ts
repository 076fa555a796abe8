import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import { makeLabel } from '../../kernel/labels.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { isThere, namesIn } from '../../machine/is-there.ts';

export interface AsideWish {
  readonly dataDir: string;
  readonly backupDir: string;
  readonly owner: Identity;
  /** Default: corrupt. */
  readonly kind?: 'corrupt' | 'replaced';
}

/**
 * Moves everything in a member's data directory aside, whole, so that Patroni finds it empty: to the repository's quarantine where a rename gets
 * there, else beside the directory. Killed half-way it leaves two parts, and the next start sets the second aside too. Resolves with the new folder; rejects
 * with `recovery.refused`, nothing moved, where neither can be reached.
 */
export async function setMemberAside(wish: AsideWish, system: Pick<System, 'files' | 'clock' | 'reached'>): Promise<string> {
  const quarantine = await newAside(wish, system);
  await moveAside(wish.dataDir, quarantine, system);
  return quarantine;
}

/** Makes the folder that a member's data is to be moved to. Rejects with `recovery.refused` where no rename gets there. */
export async function newAside(
  { dataDir, backupDir, owner, kind = 'corrupt' }: AsideWish,
  { files, clock }: Pick<System, 'files' | 'clock'>,
): Promise<string> {
  const root = await firstReached([join(backupDir, 'quarantine'), join(dirname(dataDir), 'dbkit-quarantine')], dataDir, owner, files);
  const quarantine = await newFolder(root, kind, clock);
  await files.makeDirectory(quarantine, { mode: 0o700, owner });
  return quarantine;
}

/**
 * Moves every entry; one that was killed is gone on with by the same call. Rejects with `file.exists`, nothing moved, where the folder holds one of that name:
 * rename(2) would take its place.
 */
export async function moveAside(dataDir: string, quarantine: string, { files, reached }: Pick<System, 'files' | 'reached'>): Promise<void> {
  const names = await readdir(dataDir);
  const there = new Set(await namesIn(quarantine));
  const taken = names.find((name) => there.has(name));
  if (taken !== undefined)
    throw new DbkitError('file.exists', `${join(quarantine, taken)} is there already`, {
      hint: `look at both ${quarantine} and ${dataDir}; nothing was changed`,
    });
  for (const name of names.sort((a, b) => Number(b === 'global') - Number(a === 'global'))) {
    // Without `global` no server takes the rest for a database.
    await rename(join(dataDir, name), join(quarantine, name));
    reached('replace.entry-set-aside');
  }
  await files.syncDirectory(quarantine);
  await files.syncDirectory(dataDir);
}

async function newFolder(root: string, kind: 'corrupt' | 'replaced', clock: System['clock']): Promise<string> {
  for (;;) {
    const path = join(root, makeLabel(kind, clock.now()));
    if (!(await isThere(path))) return path;
    await clock.sleep(200, new AbortController().signal);
  }
}

/** Two mounts of one file system still refuse a rename between them, so it is tried. */
async function firstReached(roots: readonly string[], dataDir: string, owner: Identity, files: System['files']): Promise<string> {
  const probe = join(dataDir, 'dbkit.rename-probe');
  for (const root of roots) {
    const there = join(root, '.rename-probe');
    try {
      await files.makeDirectory(root, { mode: 0o700, owner });
      await mkdir(probe, { recursive: true });
      await rename(probe, there);
      await rmdir(there);
      return root;
    } catch {
      if ((await namesIn(dataDir)).includes('dbkit.rename-probe')) await rmdir(probe);
    }
  }
  throw new DbkitError('recovery.refused', `${dataDir} cannot be set aside: no folder that a rename reaches takes it`, {
    hint: `mount the backups on the same volume, or move its contents away by hand; nothing was changed`,
  });
}

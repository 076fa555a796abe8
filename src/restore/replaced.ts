import { rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { walk } from '../inspection/walk.ts';
import { quarantineRoots, type Volume } from '../instance/volume.ts';
import { DbkitError } from '../kernel/errors.ts';
import { newestFirst, parseLabel } from '../kernel/labels.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { namesIn } from '../machine/is-there.ts';
import { readPlainText } from '../machine/plain-file.ts';

/** Data that an earlier restore or undo has set aside, whole. */
export interface ReplacedData {
  readonly label: string;
  readonly path: string;
  readonly replacedAt: string;
  readonly pgVersion: number;
  readonly sizeBytes: number;
}

/** The replaced data of that label; 'latest' is the newest. Damaged data is brought back too, where a person names it. Rejects with `backup.missing`. */
export async function findReplaced(volume: Volume, backupDir: string, label: string, signal: AbortSignal): Promise<ReplacedData> {
  const roots = quarantineRoots(volume.dataDir, backupDir);
  const lists = await Promise.all(roots.map(async (root) => (await namesIn(root)).map((name) => ({ name, root }))));
  const kinds = label === 'latest' ? ['replaced'] : ['replaced', 'corrupt'];
  const all = lists
    .flat()
    .filter(({ name }) => kinds.includes(parseLabel(name)?.kind ?? ''))
    .sort((a, b) => newestFirst({ label: a.name }, { label: b.name }));
  const found = label === 'latest' ? all[0] : all.find(({ name }) => name === label);
  if (!found) {
    throw new DbkitError('backup.missing', label === 'latest' ? 'there is nothing to undo' : `there is no replaced data ${label}`, {
      hint:
        all.length > 0
          ? `there is: ${all.map(({ name }) => name).join(', ')}`
          : 'only what `dbkit backup restore` or `undo` has replaced can be brought back by undo',
    });
  }
  const path = join(found.root, found.name);
  const { entries } = walk(path, signal);
  return {
    label: found.name,
    path,
    replacedAt: parseLabel(found.name)!.at.toISOString(),
    pgVersion: Number.parseInt(await readPlainText(join(path, 'PG_VERSION')).catch(() => '0'), 10),
    sizeBytes: [...entries.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

/** Replaced data is brought back by renames only: it must be on the very mount it was set aside on. Rejects with `recovery.refused`. */
export async function requireReachable({ path }: ReplacedData, volume: Volume, owner: Identity, system: System): Promise<void> {
  const [from, to] = [join(dirname(path), '.rename-probe'), join(volume.dataDir, '.dbkit', 'rename-probe')];
  await system.files.makeDirectory(from, { mode: 0o700, owner });
  try {
    await rename(from, to);
    await rmdir(to);
  } catch (cause) {
    await rmdir(from).catch(() => undefined);
    throw new DbkitError('recovery.refused', `${path} is not on the file system of ${volume.dataDir}`, {
      hint: `copy it to ${join(volume.dataDir, '.dbkit', 'quarantine')} first; nothing was changed`,
      cause,
    });
  }
}

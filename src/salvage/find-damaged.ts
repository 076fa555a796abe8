import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { serverOn } from '../instance/guard/preflight.ts';
import { quarantineRoots } from '../instance/volume.ts';
import { DbkitError } from '../kernel/errors.ts';
import { parseLabel } from '../kernel/labels.ts';

/**
 * The data that is named; else the newest data that a recovery has set aside whole, else the instance's own. Rejects with `server.running` when a server
 * works there: its files are not one moment's, and what it can read is dumped.
 */
export async function findDamaged({ backupDir, postgresql: { dataDir } }: Config, named: string | undefined): Promise<string> {
  const setAside = await newestSetAside(quarantineRoots(dataDir, backupDir));
  if (named === undefined && setAside !== undefined) return setAside;
  const directory = named ?? dataDir;
  const isThere = await stat(directory).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
  if (!isThere)
    throw new DbkitError('usage.invalid', 'there is no damaged data here', { hint: 'name a directory: `dbkit salvage DIRECTORY`' });
  if (typeof (await serverOn(directory)) === 'object')
    throw new DbkitError(
      'server.running',
      named === undefined ? 'nothing was set aside here, and the instance itself is running' : `a server is running on ${named}`,
      { hint: '`dbkit backup create --engine dump` takes what a running server can read; stop it to salvage its files' },
    );
  return directory;
}

async function newestSetAside(roots: readonly string[]): Promise<string | undefined> {
  const found = await Promise.all(
    roots.map(async (root) => (await readdir(root).catch(() => [])).map((name) => ({ name, path: join(root, name) }))),
  );
  const clusters = found.flat().filter(({ name }) => parseLabel(name)?.kind === 'corrupt');
  return clusters.sort((a, b) => b.name.localeCompare(a.name))[0]?.path;
}

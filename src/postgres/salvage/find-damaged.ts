import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../core/config.ts';
import { DbkitError } from '../../core/errors.ts';
import { parseLabel } from '../../core/labels.ts';
import { serverOn } from '../guard/preflight.ts';

/**
 * The newest data that a recovery has set aside whole, else the instance's own, where it is stopped. Rejects with `server.running` when it is
 * not: a server that runs is dumped.
 */
export async function findDamaged({ backupDir, postgresql: { dataDir } }: Config): Promise<string> {
  const roots = [join(backupDir, 'quarantine'), join(dataDir, '.dbkit', 'quarantine')];
  const found = await Promise.all(
    roots.map(async (root) => (await readdir(root).catch(() => [])).map((name) => ({ name, path: join(root, name) }))),
  );
  const clusters = found.flat().filter(({ name }) => parseLabel(name)?.kind === 'corrupt');
  const newest = clusters.sort((a, b) => b.name.localeCompare(a.name))[0];
  if (newest) return newest.path;
  const isThere = await stat(dataDir).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
  if (!isThere)
    throw new DbkitError('usage.invalid', 'there is no damaged data here', { hint: 'name a directory: `dbkit salvage DIRECTORY`' });
  if (typeof (await serverOn(dataDir)) === 'object')
    throw new DbkitError('server.running', 'nothing was set aside here, and the instance itself is running', {
      hint: '`dbkit backup create --engine dump` takes what a running server can read; stop it to salvage its files',
    });
  return dataDir;
}

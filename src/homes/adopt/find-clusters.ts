import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import { isThere, namesIn } from '../../machine/is-there.ts';

/** Below a volume's mount: the official image's, of 18 on, Debian's, Bitnami's, a PGDATA set to a folder of it. */
const below = [/^(data|pgdata|postgresql|main|docker)$/, /^\d+$/, /^var-\d+$/, /^postgresql@\d+$/];
const DEPTH_MAX = 3;

/** A data directory, or those in a folder above it: whatever of the usual folders holds PG_VERSION and global. Nothing else is looked into. */
export async function findClusters(directory: string, depth = 0): Promise<string[]> {
  if ((await isThere(join(directory, 'PG_VERSION'))) && (await isThere(join(directory, 'global')))) return [directory];
  if (depth === DEPTH_MAX) return [];
  const names = (await namesIn(directory).catch(() => [])).filter((name) => below.some((pattern) => pattern.test(name)));
  const found: string[] = [];
  for (const name of names.sort()) {
    const path = join(directory, name);
    if ((await stat(path).catch(() => undefined))?.isDirectory()) found.push(...(await findClusters(path, depth + 1)));
  }
  return found;
}

/** The only one. Rejects with `data.foreign` where there is none, or more than one. */
export async function findCluster(directory: string): Promise<string> {
  const found = await findClusters(directory);
  if (found.length === 1) return found[0]!;
  if (found.length === 0)
    throw new DbkitError('data.foreign', `there is no PostgreSQL data in ${directory}`, {
      hint: 'name its data directory, the folder that holds PG_VERSION; nothing was changed',
    });
  throw new DbkitError('data.foreign', `there are ${found.length} clusters in ${directory}: ${found.join(', ')}`, {
    hint: 'name one of them; nothing was changed',
  });
}

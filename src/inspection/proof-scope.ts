import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ProofRequest } from './prove.ts';
import { RELATION } from './relations.ts';
import type { Known } from './wal-since.ts';
import type { Entry, Walk } from './walk.ts';

/** Main and init forks of logged relations. The maps of free space and visibility are rebuilt; unlogged relations are emptied by a crash. */
export function inScope({ entries }: Walk, wanted: (path: string) => boolean): Pick<Entry, 'path' | 'sizeBytes'>[] {
  return [...entries.values()].filter(({ path, kind }) => {
    const [, , fork] = (kind === 'file' && RELATION.exec(path)) || [];
    if (kind !== 'file' || !RELATION.test(path) || fork === 'fsm' || fork === 'vm' || !wanted(path)) return false;
    return fork === 'init' || !entries.has(`${path.replace(/\.\d+$/, '')}_init`);
  });
}

/** Files that the backup holds, of directories that are still there, and that nothing has removed since. */
export function goneFiles(
  { dataDir, seen, wanted = () => true }: ProofRequest,
  { history, baseline }: Known,
): Pick<Entry, 'path' | 'sizeBytes'>[] {
  if (!baseline || !history) return [];
  const paths = [...baseline.sizesBytes.keys()].filter((path) => !seen.entries.has(path) && wanted(path) && mainFork.test(path));
  return paths
    .filter((path) => existsSync(join(dataDir, dirname(path))) && !history.of(path)?.isDropped && (baseline.sizesBytes.get(path) ?? 0) > 0)
    .map((path) => ({ path, sizeBytes: 0 }));
}

const mainFork = /\/\d+(\.\d+)?$/;

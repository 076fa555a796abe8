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

/** Files that the backup holds, or that are doubted, of directories that are still there, and that nothing has removed since. */
export function goneFiles(
  { dataDir, seen, must, wanted = () => true }: ProofRequest,
  { history, baseline }: Known,
): Pick<Entry, 'path' | 'sizeBytes'>[] {
  const kept = baseline && history ? [...baseline.sizesBytes].flatMap(([path, sizeBytes]) => (sizeBytes > 0 ? [path] : [])) : [];
  const doubted = [...(must ?? [])].flatMap(([path, { fromBlock, toBlock }]) => (fromBlock < toBlock ? [path] : []));
  return [...new Set([...kept, ...doubted])]
    .filter((path) => !seen.entries.has(path) && wanted(path) && mainFork.test(path))
    .filter((path) => existsSync(join(dataDir, dirname(path))) && !history?.of(path)?.isDropped)
    .map((path) => ({ path, sizeBytes: 0 }));
}

const mainFork = /\/\d+(\.\d+)?$/;

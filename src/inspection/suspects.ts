import { formatLsn, parseLsn } from '../formats/wal-segment.ts';
import { outlivesPages } from './findings.ts';
import type { Inspection } from './inspect.ts';
import type { Inventory } from './inventory.ts';
import type { KnownDamage } from './known-damage.ts';
import type { Suspicion } from './prove.ts';
import { RELATION } from './relations.ts';

/**
 * Files of relations that are to be proven once a crash has been replayed, whatever that costs: those that the inspection had its doubts about,
 * those that hold less than at the last clean shutdown, and those that an earlier start did not come to settle. Pure.
 */
export function suspectsOf(
  before: Pick<Inspection, 'control' | 'sizeOf' | 'report'>,
  last: Pick<Inventory, 'files' | 'checkpointLsn' | 'systemIdentifier'> | undefined,
  known: readonly KnownDamage[],
): ReadonlyMap<string, Suspicion> {
  const { control } = before;
  const suspects = new Map<string, Suspicion>();
  if (!control) return suspects;
  const { blockSizeBytes, blocksPerSegment } = control;
  const blocksOf = (path: string): number => Math.floor((before.sizeOf(path) ?? 0) / blockSizeBytes);
  for (const { path, cut = { fromBlock: 0, toBlock: 0 }, code } of known)
    if (RELATION.test(path) && !outlivesPages({ code, path })) {
      const since = cut.since === undefined ? undefined : parseLsn(cut.since);
      suspects.set(path, { ...cut, since, ...(code === 'index.damaged' ? { hasForeignZeroes: true } : {}) });
    }
  for (const [path, sizeBytes] of last?.systemIdentifier === control.systemIdentifier ? last.files : []) {
    const [fromBlock, toBlock] = [blocksOf(path), Math.floor(sizeBytes / blockSizeBytes)];
    if (fromBlock < toBlock && isTable(path)) suspects.set(path, { fromBlock, toBlock, since: parseLsn(last!.checkpointLsn) });
  }
  const isKnown = new Set(known.map(({ path }) => path));
  for (const { path, code, severity } of before.report.findings) {
    const isDoubtful = severity === 'suspect' || code === 'index.damaged';
    if (!isDoubtful || !isTable(path) || outlivesPages({ code, path })) continue;
    const hasForeignZeroes = code === 'index.damaged' && severity === 'certain';
    const isFollowed = (before.sizeOf(nextSegment(path)) ?? 0) > 0;
    const earlier = suspects.get(path);
    if (hasForeignZeroes) suspects.set(path, { fromBlock: 0, toBlock: 0, ...earlier, hasForeignZeroes });
    else if (isKnown.has(path)) continue;
    else if (isFollowed && (code === 'relation.truncated' || code === 'relation.missing'))
      suspects.set(path, { fromBlock: blocksOf(path), toBlock: blocksPerSegment });
    else if (code === 'relation.missing' && !earlier)
      suspects.set(path, { fromBlock: 0, toBlock: 1 }); // It held something, for all that is known.
    else if (!earlier) suspects.set(path, { fromBlock: 0, toBlock: 0 });
  }
  return suspects;
}

/** Its main fork: the maps of free space and visibility are made again. */
const isTable = (path: string): boolean => RELATION.exec(path)?.[2] === undefined && RELATION.test(path);

function nextSegment(path: string): string {
  const number = Number(RELATION.exec(path)?.[3] ?? 0);
  return `${path.replace(/\.\d+$/, '')}.${number + 1}`;
}

/** As it is written down before the start that may be cut off. */
export const toSuspectDamage = (
  path: string,
  { fromBlock, toBlock, since: lsn, hasForeignZeroes }: Suspicion,
  since: string,
): KnownDamage => ({
  code: hasForeignZeroes ? 'index.damaged' : 'relation.truncated',
  path,
  evidence: toBlock > fromBlock ? `it ended at block ${fromBlock} of ${toBlock} before the start` : 'it was doubtful before the start',
  severity: 'suspect',
  since,
  cut: { fromBlock, toBlock, ...(lsn === undefined ? {} : { since: formatLsn(lsn) }) },
});

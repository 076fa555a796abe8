import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from '../inspection/findings.ts';
import { type KnownDamage, toKnownDamage } from '../inspection/known-damage.ts';
import { proofFindings } from '../inspection/proof-findings.ts';
import type { Proof } from '../inspection/prove.ts';
import { droppedRelations, type FileOwner, ownersOfFiles } from '../instance/server/relation-of-file.ts';
import { rebuildIndex, type Way } from './rebuild-index.ts';

/** The first segment's, by which the server knows the relation. */
export const firstFile = (path: string): string => path.replace(/\.\d+$/, '');

/** Files that are doubtful, with what they belong to, as far as a database says so. */
export async function withOwners(way: Way, proof: Proof, signal: AbortSignal): Promise<readonly Owned[]> {
  const found = proofFindings(proof, 'certain');
  const absent = found.filter(({ path }) => !existsSync(join(way.local.volume.dataDir, path)));
  const dropped = await droppedRelations(way, absent, signal); // A file that is not there, and that no database misses.
  return ownedFindings(
    way,
    found.filter(({ path }) => !dropped.has(path)),
    signal,
  );
}

export async function ownedFindings(way: Way, findings: readonly Finding[], signal: AbortSignal): Promise<readonly Owned[]> {
  const owners = await ownersOfFiles(way, [...new Set(findings.map(({ path }) => firstFile(path)))], signal);
  const since = way.local.system.clock.now().toISOString();
  return findings.map((finding) => {
    const owner = owners.get(firstFile(finding.path));
    return { finding, owner, damage: owner ? describe(toKnownDamage(finding, since), owner) : toKnownDamage(finding, since) };
  });
}

export interface Owned {
  readonly finding: Finding;
  readonly owner: FileOwner | undefined;
  readonly damage: KnownDamage;
}

export const describe = (damage: KnownDamage, { database, relation, oid, rowsPerPage }: FileOwner): KnownDamage => {
  const rows = Math.round((damage.blocks?.length ?? 0) * rowsPerPage);
  const about = rows > 0 ? `, about ${rows} rows` : '';
  return {
    ...damage,
    database,
    relation,
    oid,
    evidence: `${relation} in database ${database}${about}: ${damage.evidence}`,
    ...(rows > 0 ? { rows } : {}),
  };
};

/** An index holds nothing that its table does not. Those of the catalogs need a server of their own, so they stay for the ladder. */
export async function rebuildIndexes(
  way: Way,
  found: readonly Owned[],
  signal: AbortSignal,
): Promise<{ readonly open: readonly KnownDamage[]; readonly rebuilt: readonly Finding[] }> {
  const open: KnownDamage[] = [];
  const rebuilt: Finding[] = [];
  for (const { finding, owner, damage } of found) {
    const how = finding.code === 'relation.touched' ? 'may be of another time' : 'was damaged';
    const isOurs = owner?.kind === 'index' && !owner.isCatalog;
    const isRebuilt = isOurs && (await rebuildIndex(way, { ...owner, what: `index ${owner.index} in ${owner.database} ${how}` }, signal));
    if (isRebuilt) rebuilt.push({ ...finding, code: 'index.damaged' });
    else open.push(damage);
  }
  return { open, rebuilt };
}

import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import type { KnownDamage } from '../inspection/known-damage.ts';
import { type Owned, ownedFindings, rebuildIndexes } from './owned-damage.ts';
import type { Way } from './rebuild-index.ts';

/** As much of indexes as a start builds for want of proof alone: some seconds of an idle machine. */
const BUILT_BYTES_MAX = 128 * 1024 * 1024;

/** The server that is asked, and what was seen before it was started. */
interface Asked extends Way {
  readonly before: Pick<Inspection, 'report'>;
}

interface BuiltAnew {
  readonly open: readonly KnownDamage[];
  readonly rebuilt: readonly Finding[];
  /** Files of which nobody can tell what they held. */
  readonly unknown: readonly Finding[];
}

/**
 * Mends or tells of what the inspection saw and pages do not show: indexes that somebody wrote to while no server ran, whose pages may be of any time, and what a folder
 * in the place of an init fork has left empty. An index is made again from its table; the rest is told.
 */
export async function buildAnew(asked: Asked, signal: AbortSignal): Promise<BuiltAnew> {
  const { findings } = asked.before.report;
  const touched = findings.filter(({ code }) => code === 'relation.touched');
  const emptied = findings.flatMap((finding) => (finding.code === 'init-fork.folder' ? emptiedBy(finding) : []));
  const sizeOf = ({ path }: Finding): number => statSync(join(asked.local.volume.dataDir, path), { throwIfNoEntry: false })?.size ?? 0;
  const ofIndexes = (await ownedFindings(asked, touched, signal)).filter(isIndexOfUsers);
  const isAffordable = ofIndexes.reduce((sum, { finding }) => sum + sizeOf(finding), 0) <= BUILT_BYTES_MAX;
  const doubtful = isAffordable ? ofIndexes.map(asDamaged) : [];
  const empty = (await ownedFindings(asked, emptied, signal)).filter(
    ({ owner, finding }) => owner !== undefined && owner.kind !== 'table' && sizeOf(finding) === 0,
  );
  const { open, rebuilt } = await rebuildIndexes(asked, [...doubtful, ...empty], signal);
  const built = new Set(doubtful.map(({ finding }) => finding.path));
  return { open, rebuilt, unknown: touched.filter(({ path }) => !built.has(path)) };
}

const isIndexOfUsers = ({ owner }: Owned): boolean => owner?.kind === 'index' && !owner.isCatalog;

const asDamaged = ({ finding, owner, damage }: Owned): Owned => ({
  finding,
  owner,
  damage: { ...damage, code: 'index.damaged', severity: 'certain' },
});

/** An unlogged table is empty after a crash; an index of it, and a sequence, have a page to begin with, which an empty file could not give them. */
const emptiedBy = ({ path }: Finding): Finding => ({
  code: 'relation.missing',
  path: path.replace(/_init$/, ''),
  evidence: 'it is empty since the crash, as a folder stood for the file that fills it',
  severity: 'certain',
});

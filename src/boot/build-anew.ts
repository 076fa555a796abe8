import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Finding, touchedFiles } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import type { KnownDamage } from '../inspection/known-damage.ts';
import { droppedRelations } from '../instance/server/relation-of-file.ts';
import { putFile } from '../recovery/put-file.ts';
import { firstFile, type Owned, ownedFindings, rebuildIndexes } from './owned-damage.ts';
import type { Way } from './rebuild-index.ts';

/** So much of indexes and their tables a start reads and writes for want of proof alone: some seconds of an idle machine. */
const REBUILT_BYTES_MAX = 128 * 1024 * 1024;

/** The server that is asked, what was seen before it was started, and what was known before that. */
interface Asked extends Way {
  readonly before: Pick<Inspection, 'report'>;
  readonly known: readonly KnownDamage[];
}

interface BuiltAnew {
  readonly open: readonly KnownDamage[];
  readonly rebuilt: readonly Finding[];
  /** Files of which nobody can tell what they held. */
  readonly unknown: readonly Finding[];
  /** Empty init forks that are of no relation any more. */
  readonly mended: ReadonlySet<string>;
}

/**
 * Mends or tells of what pages do not show: indexes that somebody wrote to while no server ran, whose pages may be of any time, those whose rebuild
 * failed before, and what a folder in the place of an init fork has left empty. An index is made again from its table; the rest is told.
 */
export async function buildAnew({ before, known, ...way }: Asked, signal: AbortSignal): Promise<BuiltAnew> {
  const { findings } = before.report;
  const touched = touchedFiles(findings);
  const failed = known.filter(({ code, severity }) => code === 'index.damaged' && severity === 'certain');
  const doubtful = (await ownedFindings(way, touched.map(asFileOf), signal)).filter(isIndexOfUsers);
  const isAffordable = oncePerIndex(doubtful).reduce((sum, { owner }) => sum + (owner?.rebuildBytes ?? 0), 0) <= REBUILT_BYTES_MAX;
  const again = await ownedFindings(way, failed.map(asFinding), signal);
  const [emptied, bare] = await Promise.all([emptiedOf(way, findings, signal), withoutInitForkOf(way, findings, signal)]);
  const all = oncePerIndex([...again.filter(isIndexOfUsers), ...emptied, ...bare, ...(isAffordable ? doubtful : [])]);
  const { open, rebuilt } = await rebuildIndexes(way, all, signal);
  const built = new Set(isAffordable ? doubtful.map(({ finding }) => finding.path) : []);
  const isOpen = new Set(open.map(({ path }) => `${path}_init`));
  const made = findings.flatMap(({ code, path }) => (code === 'init-fork.folder' && !isOpen.has(path) ? [path] : []));
  const unheard = failed.filter(({ path }) => !again.some(({ owner, finding }) => owner && finding.path === path));
  const dropped = await droppedRelations(way, unheard, signal);
  return {
    open: [...open.map(asDamage), ...unheard.filter(({ path }) => !dropped.has(path))],
    rebuilt,
    mended: new Set(made),
    unknown: touched.filter((finding) => !built.has(asFileOf(finding).path)),
  };
}

const asFinding = ({ path, evidence }: KnownDamage): Finding => ({ code: 'index.damaged', path, evidence, severity: 'certain' });

/** Indexes and sequences that are empty now: a table is empty after a crash, and these have a page to begin with, which an empty file could not give them. */
async function emptiedOf(way: Way, findings: readonly Finding[], signal: AbortSignal): Promise<readonly Owned[]> {
  const emptied = findings.flatMap((finding) => (finding.code === 'init-fork.folder' ? [emptiedBy(finding)] : []));
  const sizeOf = ({ path }: Finding): number => statSync(join(way.local.volume.dataDir, path), { throwIfNoEntry: false })?.size ?? 0;
  const owned = await ownedFindings(way, emptied, signal);
  return owned.filter(({ owner, finding }) => owner !== undefined && owner.kind !== 'table' && sizeOf(finding) === 0);
}

/**
 * Unlogged relations without an init fork: a folder stood for it, and their pages had never been written, so that before the start nobody could tell
 * what they are. The table's fork is an empty file; an index and a sequence are to be made anew.
 */
async function withoutInitForkOf(way: Way, findings: readonly Finding[], signal: AbortSignal): Promise<readonly Owned[]> {
  const bare = findings.filter(({ code, path }) => code === 'relation.folder' && path.endsWith('_init')).map(emptiedBy);
  const owned = (await ownedFindings(way, bare, signal)).filter(({ owner }) => owner?.isUnlogged);
  for (const { owner, finding } of owned) if (owner?.kind === 'table') await putFile(way.local, `${finding.path}_init`, '');
  return owned.filter(({ owner }) => owner?.kind !== 'table');
}

const isIndexOfUsers = ({ owner }: Owned): boolean => owner?.kind === 'index' && !owner.isCatalog;

/** The server knows a relation by the first file of its main fork. */
const asFileOf = (finding: Finding): Finding => ({ ...finding, path: firstFile(finding.path).replace(/_init$/, '') });

const oncePerIndex = (owned: readonly Owned[]): readonly Owned[] =>
  owned.filter(
    ({ owner, finding }, at) => at === owned.findIndex((one) => (owner ? one.owner?.oid === owner.oid : one.finding === finding)),
  );

/** An index that could not be rebuilt is damaged from now on, whatever its pages say. */
const asDamage = (damage: KnownDamage): KnownDamage =>
  damage.code === 'relation.touched' ? { ...damage, code: 'index.damaged', severity: 'certain' } : damage;

const emptiedBy = ({ path }: Finding): Finding => ({
  code: 'relation.missing',
  path: path.replace(/_init$/, ''),
  evidence: 'it is empty since the crash, as a folder stood for the file that fills it',
  severity: 'certain',
});

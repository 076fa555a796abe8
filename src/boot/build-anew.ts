import { type Finding, touchedFiles } from '../inspection/findings.ts';
import { asksToRecover } from '../inspection/gaps.ts';
import type { Inspection } from '../inspection/inspect.ts';
import type { KnownDamage } from '../inspection/known-damage.ts';
import { droppedRelations } from '../instance/server/relation-of-file.ts';
import { firstFile, type Owned, ownedFindings, rebuildIndexes } from './owned-damage.ts';
import type { Way } from './rebuild-index.ts';
import { remakeInitFork } from './remake-init-fork.ts';

/** So much of indexes and their tables a start reads and writes for want of proof alone: some seconds of an idle machine. */
const REBUILT_BYTES_MAX = 128 * 1024 * 1024;

/** The server that is asked, what was seen before it was started, and what was known before that. */
interface Asked extends Way {
  readonly before: Pick<Inspection, 'report' | 'cleanShutdown' | 'saw'>;
  readonly known: readonly KnownDamage[];
}

interface BuiltAnew {
  readonly open: readonly KnownDamage[];
  readonly rebuilt: readonly Finding[];
  /** Known before, and not to be forgotten: their database did not answer. */
  readonly waiting: readonly KnownDamage[];
  /** Files of which nobody can tell what they held. */
  readonly unknown: readonly Finding[];
}

/**
 * Mends or tells of what pages do not show: indexes that somebody wrote to while no server ran, whose pages may be of any time, those whose rebuild
 * failed before, and unlogged relations whose init fork was a folder. An index is made again from its table; the rest is told.
 */
export async function buildAnew({ before, known, ...way }: Asked, signal: AbortSignal): Promise<BuiltAnew> {
  const touched = touchedFiles(before.report.findings);
  const failed = known.filter(({ code, severity }) => code === 'index.damaged' && severity === 'certain');
  const doubtful = (await ownedFindings(way, touched.map(asFileOf), signal)).filter(isIndexOfUsers);
  const isAffordable = oncePerIndex(doubtful).reduce((sum, { owner }) => sum + (owner?.rebuildBytes ?? 0), 0) <= REBUILT_BYTES_MAX;
  const again = await ownedFindings(way, failed.map(asFinding), signal);
  const all = oncePerIndex([...again.filter(isIndexOfUsers), ...(isAffordable ? doubtful : [])]);
  const { open, rebuilt } = await rebuildIndexes(way, all, signal);
  const built = new Set(isAffordable ? doubtful.map(({ finding }) => finding.path) : []);
  const bare = await remakeInitForks({ ...way, before }, signal);
  const unasked = [...failed.filter(({ path }) => !again.some(({ owner, finding }) => owner && finding.path === path)), ...bare];
  const dropped = await droppedRelations(
    way,
    unasked.map(({ path }) => ({ path: path.replace(/_init$/, '') })),
    signal,
  );
  return {
    open: open.map(asDamage),
    rebuilt,
    waiting: unasked.filter(({ path }) => !dropped.has(path.replace(/_init$/, ''))),
    unknown: touched.filter((finding) => !built.has(asFileOf(finding).path)),
  };
}

const asFinding = ({ path, evidence }: KnownDamage): Finding => ({ code: 'index.damaged', path, evidence, severity: 'certain' });

/** Resolves to those that are still without one. A folder beside a logged relation was nobody's. */
async function remakeInitForks({ before, ...way }: Omit<Asked, 'known'>, signal: AbortSignal): Promise<readonly KnownDamage[]> {
  const folders = before.report.findings.filter(({ code, path }) => code === 'relation.folder' && path.endsWith('_init'));
  const isStray = before.report.findings.some(({ code }) => code === 'backup-label.stray' || code === 'signal.stray'); // It was set aside.
  const hasRecovered = !before.cleanShutdown || (asksToRecover(before.saw) && !isStray);
  const left: KnownDamage[] = [];
  for (const { finding, owner, damage } of await ownedFindings(way, folders.map(asFileOf), signal)) {
    const path = `${finding.path}_init`;
    const isMade = owner && (!owner.isUnlogged || (await remakeInitFork(way, { ...owner, path, hasRecovered }, signal)));
    if (!isMade) left.push({ ...damage, path, severity: 'suspect' });
  }
  return left;
}

const isIndexOfUsers = ({ owner }: Owned): boolean => owner?.kind === 'index' && !owner.isCatalog;

/** The server knows a relation by the first file of its main fork. */
const asFileOf = (finding: Finding): Finding => ({ ...finding, path: firstFile(finding.path).replace(/_init$/, '') });

/** Databases that were copied from one template share oids. */
const oncePerIndex = (owned: readonly Owned[]): readonly Owned[] =>
  owned.filter(({ owner, finding }, at) => {
    const isSame = (one: Owned): boolean =>
      owner ? one.owner?.oid === owner.oid && one.owner.database === owner.database : one.finding === finding;
    return at === owned.findIndex(isSame);
  });

/** An index that could not be rebuilt is damaged from now on, whatever its pages say. */
const asDamage = (damage: KnownDamage): KnownDamage =>
  damage.code === 'relation.touched' ? { ...damage, code: 'index.damaged', severity: 'certain' } : damage;

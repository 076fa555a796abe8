import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding, FindingCode } from '../inspection/findings.ts';
import { inspect } from '../inspection/inspect.ts';
import type { FindBaseline } from '../inspection/prove.ts';
import { readControl } from '../inspection/state.ts';
import { walk } from '../inspection/walk.ts';
import type { Local } from '../instance/local.ts';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import { readMark } from '../wal/mark.ts';
import { evidenceAmong } from './evidence.ts';
import type { Plan } from './plan.ts';

/** The part of a plan that decides. */
type Planned = Pick<Plan, 'findings' | 'decision' | 'wish' | 'rung' | 'inspection'> & Partial<Pick<Plan, 'backup'>>;
/** The part of an instance that is read. */
type Place = Pick<Local, 'volume' | 'stateDir' | 'system'>;

/** Codes that say of a file or a directory that it is gone. */
const gone: ReadonlySet<FindingCode> = new Set([
  'relation.missing',
  'catalog.missing',
  'database.missing',
  'directory.lost',
  'wal-directory.missing',
  'index.damaged',
  'catalog-index.damaged',
]);

/** True when this plan would put other data in the place of a cluster, without a person who asked for it. */
export const replacesUnasked = ({ decision, inspection, wish }: Planned): boolean =>
  (decision === 'restore' || decision === 'reinitialize') && wish === undefined && inspection.report.state === 'cluster';

/**
 * The findings of a plan that are positive evidence, as the files are now: call it with the server stopped. A disk that does not answer rejects with
 * `volume.failing`.
 */
export async function rereadEvidence(
  { volume: { dataDir }, stateDir, system }: Place,
  { findings, backup }: Pick<Planned, 'findings' | 'backup'>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findBaseline: FindBaseline = async () => backup?.of.baseline(backup.backup, signal);
  const { report } = await inspect(dataDir, { stateDir, deep: false, readReached: readMark, findBaseline }, system, signal);
  const told = report.findings.filter(({ severity, code }) => severity !== 'info' && !(severity === 'suspect' && gone.has(code))); // Memory alone is no proof.
  const seen = new Set(told.map(({ code, path }) => `${code} ${path}`));
  const inPages = findings.filter(({ seenIn }) => seenIn === 'pages');
  const lost = inPages.length > 0 ? await lostPages({ dataDir, system, findBaseline }, inPages, signal) : new Set<string>();
  const shown = new Set<Finding>();
  const counted = findings.filter(({ seenIn, code }) => seenIn === 'files' && code === 'relation.truncated');
  const cut = counted.length > 0 ? await cutFiles({ dataDir, system, findBaseline }, counted, signal) : new Set<string>();
  const isOfFiles = ({ seenIn, code, path }: Finding): boolean => seenIn === 'files' && (code !== 'relation.truncated' || cut.has(path));
  for (const finding of findings) {
    const isThere = seen.has(`${finding.code} ${finding.path}`) || isOfFiles(finding) || lost.has(finding.path);
    if (isThere || (gone.has(finding.code) && (await isGone(join(dataDir, finding.path), finding.code)))) shown.add(finding);
  }
  return evidenceAmong(findings, (finding) => shown.has(finding));
}

/** Of files whose pages were doubtful beside the server: those in which the same pages are so without it. */
async function lostPages(place: Proving, findings: readonly Finding[], signal: AbortSignal): Promise<ReadonlySet<string>> {
  const blocksOf = new Map(findings.map(({ path, blocks }) => [path, new Set(blocks)] as const));
  const doubtful = await doubtfulIn(place, (path) => blocksOf.has(path), signal);
  return new Set(doubtful.flatMap(({ path, doubts }) => (doubts.some(({ block }) => blocksOf.get(path)!.has(block)) ? [path] : [])));
}

/**
 * Of tables that the catalogs count more pages of than they have: those of which the backup, or the WAL since, holds a page behind their end. The count itself is
 * an estimate: anybody may set it, and a crash between VACUUM's cut, which the WAL tells, and its count leaves one that is too large.
 */
async function cutFiles(place: Proving, findings: readonly Finding[], signal: AbortSignal): Promise<ReadonlySet<string>> {
  const firstOf = (path: string): string => path.replace(/\.\d+$/, '');
  const counted = new Set(findings.map(({ path }) => path));
  const doubtful = await doubtfulIn(place, (path) => counted.has(firstOf(path)), signal);
  return new Set(doubtful.flatMap(({ path, doubts }) => (doubts.some(({ doubt }) => doubt === 'cut') ? [firstOf(path)] : [])));
}

interface Proving {
  readonly dataDir: string;
  readonly system: Pick<Local['system'], 'log'>;
  readonly findBaseline: FindBaseline;
}

/** The wanted files that hold pages in doubt, held against the backup of the plan and the WAL since; the server is stopped. */
async function doubtfulIn({ dataDir, system: { log }, findBaseline }: Proving, wanted: (path: string) => boolean, signal: AbortSignal) {
  const read = readControl(dataDir);
  if (!('control' in read)) return [];
  const { control } = read;
  const { provePages } = await import('../inspection/prove.ts');
  const baseline = await findBaseline(control.systemIdentifier, signal);
  const seen = walk(dataDir, signal);
  return (await provePages({ dataDir, control, baseline, seen, wanted, whole: true, isLive: false, log }, signal)).doubtful;
}

/** Only "No such file or directory" is missing; a database without its version file is no database. */
async function isGone(path: string, code: FindingCode): Promise<boolean> {
  const answer = await stat(code === 'database.missing' ? join(path, 'PG_VERSION') : path).then(
    () => undefined,
    (cause: unknown) => errnoOf(cause),
  );
  return answer === 'ENOENT';
}

/** The last look before anything is replaced. That it finds nothing is a bug of dbkit's, and changes nothing. */
export async function requireEvidence(local: Place, plan: Planned, signal: AbortSignal): Promise<void> {
  if (!replacesUnasked(plan) || (await rereadEvidence(local, plan, signal)).length > 0) return;
  throw new DbkitError('internal.bug', `a plan to ${plan.decision} names no finding that the files show: ${plan.rung.words}`, {
    hint: 'nothing was changed; please report this with the output of `dbkit inspect --json`',
  });
}

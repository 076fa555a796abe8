import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding, FindingCode } from '../inspection/findings.ts';
import { inspect } from '../inspection/inspect.ts';
import type { Local } from '../instance/local.ts';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import { readMark } from '../wal/mark.ts';
import { evidenceAmong } from './evidence.ts';
import type { Plan } from './plan.ts';

/** The part of a plan that decides. */
type Planned = Pick<Plan, 'findings' | 'decision' | 'wish' | 'rung' | 'inspection'>;
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
  { findings }: Pick<Planned, 'findings'>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { report } = await inspect(dataDir, { stateDir, deep: false, readReached: readMark }, system, signal);
  const seen = new Set(report.findings.filter(({ severity }) => severity !== 'info').map(({ code, path }) => `${code} ${path}`));
  const shown = new Set<Finding>();
  for (const finding of findings) {
    const isThere = seen.has(`${finding.code} ${finding.path}`) || finding.seenIn === 'files';
    if (isThere || (gone.has(finding.code) && (await isGone(join(dataDir, finding.path), finding.code)))) shown.add(finding);
  }
  return evidenceAmong(findings, (finding) => shown.has(finding));
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

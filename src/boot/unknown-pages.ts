import type { Finding } from '../inspection/findings.ts';
import { droppedRelations, ownersOfFiles } from '../instance/server/relation-of-file.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { unknownReport } from '../recovery/unknown-report.ts';
import type { Way } from './rebuild-index.ts';

/**
 * A report of the pages of which nobody can tell if something was there, with the names of their relations; undefined where there are none. What no
 * database knows is nobody's. Rejects only when it is aborted: what cannot be named is told by its path.
 */
export async function tellUnknown(
  way: Way,
  found: readonly Finding[],
  begunMs: number,
  signal: AbortSignal,
): Promise<RecoveryReport | undefined> {
  const { local } = way;
  const { log } = local.system;
  if (found.length === 0) return undefined;
  const named = await withNames(way, found, signal).catch((cause: unknown) => {
    if (isAbort(cause)) throw cause;
    log.debug('pages.unnamed', `the relations of these pages are not known: ${wordsOf(cause)}`);
    return found;
  });
  if (named.length === 0) return undefined;
  const report = unknownReport(local, named, begunMs);
  log.warn('pages.unknown', report.because, { paths: named.map(({ path }) => path) });
  return report;
}

const firstFile = ({ path }: Finding): string => path.replace(/\.\d+$/, '');

/** As far as a database says so, without those that none knows. */
async function withNames(way: Way, findings: readonly Finding[], signal: AbortSignal): Promise<readonly Finding[]> {
  const dropped = await droppedRelations(way, findings, signal);
  const there = findings.filter(({ path }) => !dropped.has(path));
  const owners = await ownersOfFiles(way, [...new Set(there.map(firstFile))], signal);
  return there.map((finding) => {
    const owner = owners.get(firstFile(finding));
    if (owner === undefined) return finding;
    const name = owner.kind === 'index' ? owner.index : owner.relation;
    return {
      ...finding,
      evidence: `${owner.kind} ${name} in database ${owner.database}: ${finding.evidence}`,
      relation: { database: owner.database, name },
    };
  });
}

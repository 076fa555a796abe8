import { join } from 'node:path';
import * as v from 'valibot';
import type { Finding } from '../inspection/findings.ts';
import { unknownFindings } from '../inspection/proof-findings.ts';
import type { Proof } from '../inspection/prove.ts';
import { droppedRelations, ownersOfFiles } from '../instance/server/relation-of-file.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { unknownReport } from '../recovery/unknown-report.ts';
import type { Way } from './rebuild-index.ts';

const toldSchema = v.object({
  schema: v.literal('dbkit.unknown-pages/v1'),
  systemIdentifier: v.string(),
  /** Which blocks of which files have been told. */
  told: v.array(v.tuple([v.string(), v.array(v.number())])),
});

/**
 * A report of the pages of which nobody can tell if something was there, with the names of their relations; undefined where there are none, or all
 * have been told before: what a server leaves when it dies while it makes a relation longer stays for good. What no database knows is nobody's.
 * The memory of it lies in the state folder; where it cannot be written they are told again.
 */
export async function tellUnknown(
  way: Way,
  { proof, systemIdentifier, begunMs }: { readonly proof: Proof; readonly systemIdentifier: string; readonly begunMs: number },
  signal: AbortSignal,
): Promise<RecoveryReport | undefined> {
  const { local } = way;
  const { files, log } = local.system;
  const path = join(local.stateDir, 'unknown-pages.json');
  const found = unknownFindings(proof);
  if (found.length === 0) return undefined;
  const memory = await files.readJson(path, (value) => v.parse(toldSchema, value));
  const told = new Map(memory?.systemIdentifier === systemIdentifier ? memory.told : []);
  const isNew = ({ path: file, blocks = [] }: Finding): boolean => blocks.some((block) => !told.get(file)?.includes(block));
  const dropped = await droppedRelations(way, found, signal);
  const fresh = found.filter((finding) => isNew(finding) && !dropped.has(finding.path));
  if (fresh.length === 0) return undefined;
  const named = await withNames(way, fresh, signal);
  for (const { path: file, blocks = [] } of fresh) told.set(file, [...blocks]);
  const body = { schema: 'dbkit.unknown-pages/v1', systemIdentifier, told: [...told] };
  await files
    .write(path, `${JSON.stringify(body)}\n`, { mode: 0o600 })
    .catch((cause: unknown) =>
      log.warn('pages.unwritten', 'the pages that were told could not be noted; they are told again', { why: String(cause) }),
    );
  const report = unknownReport(local, named, begunMs);
  log.warn('pages.unknown', report.because, { paths: named.map(({ path: file }) => file) });
  return report;
}

/** As far as a database says so. */
async function withNames(way: Way, findings: readonly Finding[], signal: AbortSignal): Promise<readonly Finding[]> {
  const firstFile = ({ path }: Finding): string => path.replace(/\.\d+$/, '');
  const owners = await ownersOfFiles(way, [...new Set(findings.map(firstFile))], signal);
  return findings.map((finding) => {
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

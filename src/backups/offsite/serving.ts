import { join } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { readCluster } from '../base/cluster.ts';
import type { PointRequest } from '../base/points/point.ts';
import { pointOf } from '../base/points/points.ts';
import { type BackupRecord, baseBackupRecords } from '../base/record.ts';
import { copiedRecord, readCopied } from './bring-back.ts';
import type { CopiesNeeds } from './copies.ts';
import type { CopySummary, Place } from './place.ts';

/**
 * The label of the base backup in a copy that serves a moment. Of each the manifest is fetched, and the packs with its record; the WAL must be here already,
 * as the moment is looked for in it. One that cannot be read is left out. Rejects with `recovery.refused` and the nearest moments where none does.
 */
export async function servingThere(
  { config, system }: Pick<CopiesNeeds, 'config' | 'system'>,
  place: Place,
  { summaries, request }: { readonly summaries: readonly CopySummary[]; readonly request: PointRequest },
  signal: AbortSignal,
): Promise<string> {
  const records: BackupRecord[] = [];
  let failure: unknown;
  for (const summary of summaries)
    try {
      records.push(await recordOf(place, summary, signal));
    } catch (cause) {
      if (!(cause instanceof DbkitError) || cause.code !== 'data.corrupt') throw cause;
      system.log.warn('copy.unread', `the copy of ${summary.label} is left out: ${cause.message}`, { label: summary.label });
      failure = cause;
    }
  if (records.length === 0 && failure !== undefined) throw failure;
  const { backupDir } = config;
  const repository = { records: async () => records, pathOf: (label: string) => join(backupDir, label) };
  const here = await readCluster(config.postgresql.dataDir, signal).catch(unlessOwnTrouble);
  const isOwn = here?.systemIdentifier === place.systemIdentifier;
  const dataDir = isOwn ? config.postgresql.dataDir : join(backupDir, '.none'); // The timeline of another cluster says nothing.
  const { plan } = await pointOf({ backupDir, dataDir, system, repository }, request, { label: undefined }, signal);
  return plan.label;
}

async function recordOf(place: Place, summary: CopySummary, signal: AbortSignal): Promise<BackupRecord> {
  const { label } = summary;
  const manifest = await place.manifest(summary, signal);
  const record = copiedRecord(baseBackupRecords, await readCopied(place, manifest, `${label}.json`, signal), label);
  if (record.systemIdentifier === place.systemIdentifier) return record;
  throw new DbkitError('data.corrupt', `the copy of ${label} holds a record of another cluster`);
}

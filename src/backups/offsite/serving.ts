import { join } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import type { PointRequest } from '../base/points/point.ts';
import { pointOf } from '../base/points/points.ts';
import { type BackupRecord, baseBackupRecords } from '../base/record.ts';
import { parseJson } from '../names.ts';
import { readCopied } from './bring-back.ts';
import type { CopiesNeeds } from './copies.ts';
import type { CopySummary, Place } from './place.ts';

/**
 * The label of the base backup in a copy that serves a moment. Of each only the record is fetched; the WAL must be here already, as the moment is looked
 * for in it. Rejects with `recovery.refused` and the nearest moments where none does.
 */
export async function servingThere(
  { config, system }: Pick<CopiesNeeds, 'config' | 'system'>,
  place: Place,
  { summaries, request }: { readonly summaries: readonly CopySummary[]; readonly request: PointRequest },
  signal: AbortSignal,
): Promise<string> {
  const records: BackupRecord[] = [];
  for (const summary of summaries) records.push(await recordOf(place, summary, signal));
  const { backupDir } = config;
  const repository = { records: async () => records, pathOf: (label: string) => join(backupDir, label) };
  const dataDir = join(backupDir, '.none'); // Of another cluster, or damaged: what is in the data directory chooses nothing.
  const { plan } = await pointOf({ backupDir, dataDir, system, repository }, request, { label: undefined }, signal);
  return plan.label;
}

async function recordOf(place: Place, summary: CopySummary, signal: AbortSignal): Promise<BackupRecord> {
  const { label } = summary;
  const manifest = await place.manifest(summary, signal);
  const record = baseBackupRecords.parse(
    parseJson(await readCopied(place, manifest, `${label}.json`, signal), `the copied record of ${label}`),
  );
  if (record.label === label && record.systemIdentifier === place.systemIdentifier) return record;
  throw new DbkitError('data.corrupt', `the copy of ${label} holds the record of ${record.label}`);
}

import type { SecretPlace } from '../../alerts/channel.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { PointRequest } from '../base/points/point.ts';
import { baseBackupRecords } from '../base/record.ts';
import { dumpRecords } from '../dump/record.ts';
import { openHoldings } from '../holdings.ts';
import { JSON_BYTES_MAX } from '../names.ts';
import { readRegular } from '../regular-file.ts';
import type { KeptRecord, RecordKind } from '../repository.ts';
import { bringBack, copiedRecord } from './bring-back.ts';
import { bringWalBack } from './bring-wal.ts';
import type { Copies, CopiesNeeds } from './copies.ts';
import { type CopySummary, type Place, writtenBytes } from './place.ts';
import { servingThere } from './serving.ts';
import { type Found, openSources } from './sources.ts';

export interface Bringing {
  readonly identity: SecretPlace | undefined;
  readonly systemIdentifier: string | undefined;
  readonly point: PointRequest | undefined;
}

const HINT = { hint: '`dbkit backup list --copy NAME` shows what a copy holds' };

/** How a backup comes back from a copy; see `Copies.bring`. */
export function bringer(needs: CopiesNeeds): Copies['bring'] {
  const { config, system } = needs;
  const { placeOf, allOf } = openSources(needs);
  return async (name, label, { identity, systemIdentifier, point }, signal) => {
    const all = (await allOf(name, signal)).filter(
      ({ summary }) => systemIdentifier === undefined || summary.systemIdentifier === systemIdentifier,
    );
    const found = label === 'latest' ? latest(name, all) : all.filter(({ summary }) => summary.label === label);
    if (found.length > 1) throw ambiguous(name, found);
    const [one] = found;
    if (one === undefined) throw missing(name, label);
    const place = placeOf(name, one.place.store, one.summary.systemIdentifier, identity);
    const fetch = async (summary: CopySummary): Promise<string> => {
      if (summary.label.startsWith('dump_')) await fetchInto(needs, dumpRecords, place, summary, signal);
      else await fetchInto(needs, baseBackupRecords, place, summary, signal);
      return summary.label;
    };
    if (label !== 'latest' || point === undefined || point.to === 'latest') {
      const brought = await fetch(one.summary);
      await bringWalBack(place, config.backupDir, system.files, signal);
      return brought;
    }
    await bringWalBack(place, config.backupDir, system.files, signal); // The moment is looked for in it.
    const summaries = all.map(({ summary }) => summary).filter((summary) => summary.label.startsWith('data_'));
    const chosen = await servingThere(needs, place, { summaries, request: point }, signal);
    const brought = await fetch(summaries.find((summary) => summary.label === chosen)!);
    await bringWalBack(place, config.backupDir, system.files, signal); // Until the backup was here, nothing kept the WAL for it.
    return brought;
  };
}

/** The backup joins those of the repository, the record last, as one that was taken here. */
async function fetchInto<R extends KeptRecord, W extends R>(
  { config, owner, system }: CopiesNeeds,
  kind: RecordKind<R, W>,
  place: Place,
  summary: CopySummary,
  signal: AbortSignal,
): Promise<void> {
  const holdings = openHoldings(kind, config.backupDir, owner, system);
  await holdings.locked(
    'a backup that is brought back',
    async () => {
      if ((await holdings.records(signal)).some(({ label }) => label === summary.label)) return; // It is here already.
      const manifest = await place.manifest(summary, signal);
      await holdings.requireSpace(writtenBytes(manifest));
      const directory = holdings.stagingOf(summary.label);
      const record = `${directory}.copied.json`;
      await bringBack(place, manifest, { directory, record, owner }, signal);
      await holdings.publish(copiedRecord(kind, await readRegular(record, JSON_BYTES_MAX), summary.label));
    },
    signal,
  );
}

export const missing = (name: string, label: string): DbkitError =>
  new DbkitError('backup.missing', `the copy ${name} has no backup ${label}`, HINT);

/** The newest base backup, where all are of one cluster. */
function latest(name: string, all: readonly Found[]): Found[] {
  const clusters = new Set(all.map(({ summary }) => summary.systemIdentifier));
  if (clusters.size > 1) throw ambiguous(name, all);
  const last = all.filter(({ summary }) => summary.label.startsWith('data_')).at(-1);
  return last === undefined ? [] : [last];
}

const ambiguous = (name: string, found: readonly Found[]): DbkitError =>
  new DbkitError('data.foreign', `the copy ${name} holds backups of several clusters`, {
    hint: `choose one with --system-identifier: ${[...new Set(found.map(({ summary }) => summary.systemIdentifier))].join(', ')}`,
  });

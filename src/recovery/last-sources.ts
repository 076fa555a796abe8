import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BaseBackups, Dumps, FoundBackup } from '../backups/backup.ts';
import { openRegular } from '../backups/regular-file.ts';
import { awaitedDump } from '../instance/initialize/marker.ts';
import type { Local } from '../instance/local.ts';
import { holdsNothing, isUnmounted } from '../instance/places.ts';
import { DbkitError, unlessMissing } from '../kernel/errors.ts';
import { newestFirst, parseLabel } from '../kernel/labels.ts';
import { namesIn } from '../machine/is-there.ts';
import type { Facts } from './ladder-facts.ts';
import type { Listing } from './listing.ts';
import type { PlanInput, Source } from './plan.ts';

/**
 * The newest dump of this very cluster that these programs can load, where its identifier is known: of an interrupted restore the one that it was
 * about. One of which something was left out comes behind those that are whole, however old these are: what it lacks would be gone.
 */
export async function newestDump(
  local: Local,
  { backups: kinds, inspection, spoiled }: PlanInput,
  listing: Listing,
): Promise<FoundBackup<Dumps> | undefined> {
  const { systemIdentifier, state } = inspection.report;
  const wanted = state === 'unfinished' ? await awaitedDump(local.volume, local.system) : undefined;
  if (state === 'unfinished' && wanted === undefined) return undefined;
  for (const of of kinds) {
    if (of.kind !== 'logical') continue;
    const good = (await listing.of(of))
      .filter(({ label, state: worth, pgVersion }) => worth !== 'damaged' && !spoiled?.has(label) && pgVersion <= local.binaries.major)
      .filter(({ label }) => wanted === undefined || label === wanted.label)
      .filter((dump) => state !== 'cluster' || systemIdentifier === null || dump.systemIdentifier === systemIdentifier)
      .sort((a, b) => Number(a.isPartial ?? false) - Number(b.isPartial ?? false) || newestFirst(a, b));
    const [newest] = good;
    if (newest) return { backup: newest, of };
  }
  return undefined;
}

interface Planned {
  readonly state: Facts['state'];
  readonly source: Source | undefined;
  readonly replaces: boolean;
  readonly listing: Listing;
}

/**
 * Why there may be backups that nobody sees, as the ladder asks it. `source`: the one that would be restored; a newer one may hold more, unless the WAL
 * leads to the end. An interrupted restore of a dump had its dump there. In an empty directory an older backup would be taken for all that there was.
 */
export async function accessOf(
  { volume, backupDir, system }: Local,
  { state, source, replaces, listing }: Planned,
): Promise<Pick<Facts, 'backupsUnmounted' | 'backupsUnreadable'>> {
  const awaited = state === 'unfinished' ? await awaitedDump(volume, system) : undefined;
  if (source?.rollsForward || !(replaces || state === 'empty' || state === 'unfinished'))
    return { backupsUnmounted: false, backupsUnreadable: false };
  const isUnseen = awaited !== undefined && (await holdsNothing(backupDir));
  const isOfUse = (label: string): boolean => source === undefined || (parseLabel(label)?.kind === 'data' && label > source.backup.label);
  return {
    backupsUnmounted: source === undefined && (isUnseen || (await isUnmounted(join(volume.dataDir, '.dbkit'), backupDir))),
    backupsUnreadable:
      (replaces || state === 'empty' || awaited !== undefined) &&
      (listing.trouble !== undefined || (await isUnreadable(backupDir, isOfUse))),
  };
}

/** A record that is no regular file is somebody's work, and no trouble of the disk. */
async function isUnreadable(backupDir: string, isOfUse: (label: string) => boolean): Promise<boolean> {
  try {
    const labels = (await namesIn(backupDir)).flatMap((name) => (name.endsWith('.json') ? [basename(name, '.json')] : []));
    for (const label of labels.filter((one) => ['data', 'dump'].includes(parseLabel(one)?.kind ?? '') && isOfUse(one))) {
      await readFirstByte(join(backupDir, `${label}.json`));
      await lstat(join(backupDir, label)).catch(unlessMissing);
    }
    return false;
  } catch {
    return true;
  }
}

async function readFirstByte(path: string): Promise<void> {
  const file = await openRegular(path).catch((cause: unknown) => {
    if (cause instanceof DbkitError) return undefined;
    return unlessMissing(cause);
  });
  await file?.read(Buffer.alloc(1)).finally(() => file.close());
}

/** Among the labels that did not do: not even with files missing. */
export const hopeless = (label: string): string => `${label} in part`;

/** The newest base backup of the cluster, where all of them are damaged. */
export async function newestDamaged(
  { binaries }: Pick<Local, 'binaries'>,
  { backups: kinds, inspection, spoiled }: PlanInput,
  listing: Listing,
): Promise<(FoundBackup<BaseBackups> & { readonly rollsForward: false }) | undefined> {
  const { major, systemIdentifier } = inspection.report;
  for (const of of kinds) {
    if (of.kind !== 'physical') continue;
    const [newest] = (await listing.of(of))
      .filter(({ label, pgVersion }) => !spoiled?.has(hopeless(label)) && pgVersion === (major ?? binaries.major))
      .filter((backup) => systemIdentifier === null || backup.systemIdentifier === systemIdentifier)
      .sort(newestFirst);
    if (newest) return { backup: newest, of, rollsForward: false };
  }
  return undefined;
}

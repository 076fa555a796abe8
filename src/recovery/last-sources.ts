import type { BaseBackups, Dumps, FoundBackup } from '../backups/backup.ts';
import { awaitedDump } from '../instance/initialize/marker.ts';
import type { Local } from '../instance/local.ts';
import { newestFirst } from '../kernel/labels.ts';
import type { PlanInput } from './plan.ts';

/**
 * The newest dump of this very cluster that these programs can load, where its identifier is known: of an interrupted restore the one that it was
 * about. One of which something was left out comes behind those that are whole, however old these are: what it lacks would be gone.
 */
export async function newestDump(
  local: Local,
  { backups: kinds, inspection, spoiled }: PlanInput,
  signal: AbortSignal,
): Promise<FoundBackup<Dumps> | undefined> {
  const { systemIdentifier, state } = inspection.report;
  const wanted = state === 'unfinished' ? await awaitedDump(local.volume, local.system) : undefined;
  if (state === 'unfinished' && wanted === undefined) return undefined;
  for (const of of kinds) {
    if (of.kind !== 'logical') continue;
    const all = await of.repository.list(signal).catch(() => []);
    signal.throwIfAborted();
    const good = all
      .filter(({ label, state: worth, pgVersion }) => worth !== 'damaged' && !spoiled?.has(label) && pgVersion <= local.binaries.major)
      .filter(({ label }) => wanted === undefined || label === wanted.label)
      .filter((dump) => state !== 'cluster' || systemIdentifier === null || dump.systemIdentifier === systemIdentifier)
      .sort((a, b) => Number(a.isPartial ?? false) - Number(b.isPartial ?? false) || newestFirst(a, b));
    const [newest] = good;
    if (newest) return { backup: newest, of };
  }
  return undefined;
}

/** Among the labels that did not do: not even with files missing. */
export const hopeless = (label: string): string => `${label} in part`;

/** The newest base backup of the cluster, where all of them are damaged. */
export async function newestDamaged(
  { binaries }: Pick<Local, 'binaries'>,
  { backups: kinds, inspection, spoiled }: PlanInput,
  signal: AbortSignal,
): Promise<(FoundBackup<BaseBackups> & { readonly rollsForward: false }) | undefined> {
  const { major, systemIdentifier } = inspection.report;
  for (const of of kinds) {
    if (of.kind !== 'physical') continue;
    const all = await of.repository.list(signal).catch(() => []);
    signal.throwIfAborted();
    const [newest] = all
      .filter(({ label, pgVersion }) => !spoiled?.has(hopeless(label)) && pgVersion === (major ?? binaries.major))
      .filter((backup) => systemIdentifier === null || backup.systemIdentifier === systemIdentifier)
      .sort(newestFirst);
    if (newest) return { backup: newest, of, rollsForward: false };
  }
  return undefined;
}

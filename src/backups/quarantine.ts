import { lstat, readlink, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { quarantineRoots, volumeOf } from '../instance/volume.ts';
import { wordsOf } from '../kernel/errors.ts';
import { parseLabel } from '../kernel/labels.ts';
import type { System } from '../kernel/machine.ts';
import { durationMs } from '../kernel/units.ts';
import { namesIn } from '../machine/is-there.ts';
import { planQuarantine, type Quarantined } from './quarantine-retention.ts';

const REMOVING = '.removing-';
/** `data_` and `dump_` are backups; those are never here. */
const isOurs = (name: string): boolean => ['corrupt', 'replaced'].includes(parseLabel(name)?.kind ?? '');

/**
 * Removes quarantined data that retention no longer keeps; whole clusters and the small files of repairs are counted apart. Only what bears a
 * label of dbkit's is looked at. What cannot be removed is reported and left for the next time.
 */
export async function expireQuarantine(
  config: Config,
  system: System,
  { dryRun, reported }: { dryRun: boolean; reported: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<ReturnType<typeof planQuarantine>> {
  const volume = volumeOf(config.postgresql.dataDir);
  const { last, minAge } = config.retention.quarantine;
  const policy = { last, minAgeMs: durationMs(minAge), now: system.clock.now(), reported };
  const clusters = (await Promise.all(quarantineRoots(volume.dataDir, config.backupDir).map(listIn))).flat();
  const decisions = [...planQuarantine(clusters, policy), ...planQuarantine(await listIn(volume.setAside), policy)];
  if (dryRun) return decisions;
  for (const { label, path, keep, because } of decisions.toReversed()) {
    signal.throwIfAborted();
    if (keep) continue;
    try {
      await remove(path, system);
      system.log.info('quarantine.expired', `removed ${path}: ${because}`, { label, because });
    } catch (cause) {
      system.log.warn('quarantine.expire-failed', `${path} could not be removed`, { label, reason: wordsOf(cause) });
    }
  }
  return decisions;
}

async function listIn(root: string): Promise<Quarantined[]> {
  const names = await namesIn(root);
  for (const name of names.filter((entry) => entry.startsWith(REMOVING) && isOurs(entry.slice(REMOVING.length)))) {
    await rm(join(root, name), { recursive: true, force: true }); // A killed run had begun with it.
  }
  return names.filter(isOurs).map((label) => ({ label, path: join(root, label) }));
}

/** Under another name first, so that half of it is never taken for the whole; then the WAL that its link leads to, where that is its own. */
async function remove(path: string, system: System): Promise<void> {
  const aside = join(dirname(path), `${REMOVING}${basename(path)}`);
  const wal = join(path, 'pg_wal');
  const link = (await lstat(wal).catch(() => undefined))?.isSymbolicLink() ? resolve(path, await readlink(wal)) : undefined;
  await rename(path, aside);
  await system.files.syncDirectory(dirname(path));
  system.reached('quarantine.unlisted');
  if (link !== undefined && basename(link) === `.dbkit-${basename(path)}`) await rm(link, { recursive: true, force: true });
  await rm(aside, { recursive: true, force: true });
}

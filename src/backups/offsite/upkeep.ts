import type { SecretPlace } from '../../alerts/channel.ts';
import type { Config } from '../../config/config.ts';
import type { System } from '../../kernel/machine.ts';
import { durationMs } from '../../kernel/units.ts';
import type { StoreNeeds } from '../../store/open-store.ts';
import { openArchive } from '../../wal/archive.ts';
import { openDamageOf } from '../repository.ts';
import { checkCopy } from './check-copy.ts';
import type { Copies } from './copies.ts';
import { holdCopy, holdWalOfCopy } from './copy-lock.ts';
import { type CopyExpiry, expireCopies } from './expire-copies.ts';
import { openNotes } from './notes.ts';
import { clustersIn } from './place.ts';
import { type Dependence, dependence, type RotatedCopy, rotateCopy } from './rotate.ts';
import { historiesOf } from './send-wal.ts';
import { openSources } from './sources.ts';

interface UpkeepNeeds extends StoreNeeds {
  readonly config: Config;
  readonly system: System;
}

/** The part of a copy's façade that keeps it in order. */
export const upkeepOf = (needs: UpkeepNeeds): Pick<Copies, 'expire' | 'rotate' | 'keys'> => ({
  expire: (name, options, signal) => expireIn(needs, name, options, signal),
  rotate: (name, identity, signal) => rotateIn(needs, name, identity, signal),
  keys: (name, signal) => keysIn(needs, name, signal),
});

/** By the copy's own retention, of these clusters; null where it has none, so nothing goes. */
async function expireIn(
  needs: UpkeepNeeds,
  name: string,
  { dryRun, clusters }: { readonly dryRun: boolean; readonly clusters: readonly string[] },
  signal: AbortSignal,
): Promise<CopyExpiry | null> {
  const { settingsOf, storeOf, placeOf } = openSources(needs);
  const { retention } = settingsOf(name);
  if (retention === undefined) return null;
  const { maxAge, ...rules } = retention;
  const damageIsOpen = (await openDamageOf(needs, signal)).length > 0; // Older ones there may be all that holds what is damaged now.
  const policy = { ...rules, maxAgeMs: maxAge === undefined ? undefined : durationMs(maxAge), damageIsOpen };
  return holdCopy(needs, name, signal, async () => {
    const store = await storeOf(name);
    const alone = <T>(work: () => Promise<T>): Promise<T> => holdWalOfCopy(needs, name, signal, work);
    const done: CopyExpiry[] = [];
    for (const cluster of clusters) {
      const histories = historiesOf(await openArchive(needs.config.backupDir, cluster, needs.system.files).timelines(signal));
      done.push(
        await expireCopies({ place: placeOf(name, store, cluster), policy, histories, alone, ...needs.system }, { dryRun }, signal),
      );
    }
    return {
      decisions: done.flatMap(({ decisions }) => decisions),
      swept: done.reduce((sum, { swept }) => sum + swept, 0),
      walSegments: done.reduce((sum, { walSegments }) => sum + walSegments, 0),
    };
  });
}

/** Backups there that still need a key of before, of every cluster. */
async function keysIn(needs: UpkeepNeeds, name: string, signal: AbortSignal): Promise<Dependence> {
  const { storeOf, placeOf } = openSources(needs);
  const store = await storeOf(name);
  const each: Dependence[] = [];
  for (const cluster of await clustersIn(store, signal)) each.push(await dependence(placeOf(name, store, cluster), signal));
  const wal = each.some((one) => one.wal === 'older') ? 'older' : each.some((one) => one.wal === 'current') ? 'current' : 'none';
  return { current: each.flatMap(({ current }) => current), older: each.flatMap(({ older }) => older), wal };
}

/** Everything there is encrypted again, to the recipients of today, and read back. */
async function rotateIn(needs: UpkeepNeeds, name: string, identity: SecretPlace | undefined, signal: AbortSignal): Promise<RotatedCopy> {
  const { settingsOf, storeOf, placeOf } = openSources(needs);
  const { config, system } = needs;
  const book = openNotes({ stateDir: config.stateDir, name, settings: settingsOf(name) }, system);
  return holdCopy(needs, name, signal, async () => {
    const store = await storeOf(name);
    await book.rotates();
    const alone = <T>(work: () => Promise<T>): Promise<T> => holdWalOfCopy(needs, name, signal, work);
    const done: RotatedCopy[] = [];
    for (const cluster of await clustersIn(store, signal)) {
      const place = placeOf(name, store, cluster, identity);
      const rotated = await rotateCopy(place, system.clock, signal, alone);
      const sound = new Set<string>();
      for (const summary of await place.summaries(signal)) {
        if (!rotated.backups.includes(summary.label)) continue;
        const { problem } = await checkCopy(place, summary, sound, signal);
        await book.add(summary, summary, system.clock.now().toISOString(), problem);
      }
      done.push(rotated);
    }
    return {
      backups: done.flatMap(({ backups }) => backups),
      current: done.flatMap(({ current }) => current),
      walObjects: done.reduce((sum, { walObjects }) => sum + walObjects, 0),
    };
  });
}

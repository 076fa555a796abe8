import type { SecretPlace } from '../../alerts/channel.ts';
import type { Config } from '../../config/config.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { openStore, type StoreNeeds, sealOf } from '../../store/open-store.ts';
import type { Store } from '../../store/store.ts';
import { type CopySummary, clustersIn, openPlace, type Place } from './place.ts';

type Settings = Config['copies'][string];

/** A copied backup, and where it is. */
export interface Found {
  readonly place: Place;
  readonly summary: CopySummary;
}

/** The store of a name, and each cluster's place in it. */
export function openSources({ config, clock, reveal }: StoreNeeds & { readonly config: Config }) {
  const settingsOf = (name: string): Settings => {
    const settings = config.copies[name];
    if (settings !== undefined) return settings;
    const names = Object.keys(config.copies);
    throw new DbkitError('usage.invalid', `there is no copy '${name}'`, {
      hint: names.length > 0 ? `there are: ${names.join(', ')}` : '`copies:` in dbkit.yaml names them',
    });
  };
  const storeOf = (name: string): Promise<Store> => openStore(settingsOf(name), { clock, reveal });
  const placeOf = (name: string, store: Store, cluster: string, identity?: SecretPlace): Place =>
    openPlace(store, sealOf(settingsOf(name), { reveal }, identity), cluster);
  return {
    settingsOf,
    storeOf,
    placeOf,
    /** Oldest first. */
    async allOf(name: string, signal: AbortSignal): Promise<readonly Found[]> {
      const store = await storeOf(name);
      const found: Found[] = [];
      for (const cluster of await clustersIn(store, signal)) {
        const place = placeOf(name, store, cluster);
        for (const summary of await place.summaries(signal)) found.push({ place, summary });
      }
      return found.sort((a, b) => (a.summary.createdAt < b.summary.createdAt ? -1 : 1));
    },
  };
}

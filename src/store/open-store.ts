import type { SecretPlace } from '../alerts/channel.ts';
import type { CopySettings } from '../config/copies-settings.ts';
import type { Clock } from '../kernel/machine.ts';
import { Secret } from '../kernel/secret.ts';
import { ageSeal, plainSeal, type Seal } from './age.ts';
import { openDirectoryStore } from './directory.ts';
import { openS3Store } from './s3.ts';
import type { Store } from './store.ts';

export interface StoreNeeds {
  readonly clock: Clock;
  /** Reads a secret at the moment it is needed. */
  reveal(place: SecretPlace): Promise<string>;
}

/** The store of a copy's settings, its secrets read now. */
export async function openStore(settings: CopySettings, { clock, reveal }: StoreNeeds): Promise<Store> {
  if (settings.type === 'directory') return openDirectoryStore({ path: settings.path, clock });
  const { bucket, prefix, region, endpoint, pathStyle = endpoint !== undefined, accessKeyId, secretAccessKey, sessionToken } = settings;
  const credentials = {
    accessKeyId: await reveal(accessKeyId),
    secretAccessKey: new Secret(await reveal(secretAccessKey)),
    ...(sessionToken === undefined ? {} : { sessionToken: new Secret(await reveal(sessionToken)) }),
  };
  return openS3Store({ bucket, prefix, region, endpoint, pathStyle, credentials });
}

/** How the objects of that copy are encrypted. `identity`: another place of it than the configured one. */
export function sealOf(settings: CopySettings, { reveal }: Pick<StoreNeeds, 'reveal'>, identity?: SecretPlace): Seal {
  const place = identity ?? settings.identity;
  if (settings.recipients.length === 0) return plainSeal;
  return ageSeal(settings.recipients, async () => (place === undefined ? undefined : new Secret(await reveal(place))));
}

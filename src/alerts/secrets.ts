import type { SecretPlace } from './channel.ts';
import type { ChannelSettings } from './channels.ts';
import type { Alerter } from './contract.ts';

/** Where deploy/kubernetes mounts the Secret of the alert channels. */
export const ALERTS_FOLDER = '/run/secrets/dbkit-alerts';

type Channels = Readonly<Record<string, ChannelSettings>>;

const isPlace = (value: unknown): value is SecretPlace =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && ('file' in value || 'env' in value);

/** A Secret's keys may hold letters, digits, `-`, `_` and `.`: `team` and `routingKey` make `team-routingKey`. */
const keyOf = (channel: string, field: string): string => `${channel}-${field}`;

/** Every secret of the channels, under the key it gets. */
export const secretsOf = (channels: Channels): { readonly key: string; readonly place: SecretPlace }[] =>
  Object.entries(channels).flatMap(([name, settings]) =>
    Object.entries(settings).flatMap(([field, value]) => (isPlace(value) ? [{ key: keyOf(name, field), place: value }] : [])),
  );

/** The keys of those that are not there, or empty, for who asks. Copies have theirs looked at by their probe. */
export async function unreadSecrets(channels: Channels, { reveal }: Pick<Alerter, 'reveal'>): Promise<string[]> {
  const secrets = secretsOf(channels);
  const read = await Promise.allSettled(secrets.map(({ place }) => reveal(place)));
  return secrets.flatMap(({ key }, index) => {
    const answer = read[index]!;
    return answer.status === 'fulfilled' && answer.value !== '' ? [] : [key];
  });
}

/** The same channels, with every secret read from a file of the mounted Secret. */
export const channelsInPod = (channels: Channels): Record<string, Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(channels).map(([name, settings]) => [
      name,
      Object.fromEntries(
        Object.entries(settings).map(([field, value]) => [
          field,
          isPlace(value) ? { file: `${ALERTS_FOLDER}/${keyOf(name, field)}` } : value,
        ]),
      ),
    ]),
  );

import { expect, test } from 'vitest';
import type { SecretPlace } from '../../src/alerts/channel.ts';
import type { ChannelSettings } from '../../src/alerts/channels.ts';
import { unreadSecrets } from '../../src/alerts/secrets.ts';

test('a secret that is not there, or empty, is named by its channel and its field', async () => {
  const channels = {
    team: { type: 'slack', url: { file: '/run/secrets/slack' } },
    night: { type: 'pagerduty', routingKey: { env: 'ROUTING_KEY' }, level: 'critical' },
    bare: { type: 'slack', url: { file: '/run/secrets/empty' } },
  } as unknown as Readonly<Record<string, ChannelSettings>>;
  const reveal = async (place: SecretPlace): Promise<string> => {
    if ('env' in place) throw new Error(`the variable ${place.env} is not set`);
    return place.file.endsWith('empty') ? '' : 'https://hooks.example/1';
  };
  expect(await unreadSecrets(channels, { reveal })).toEqual(['night-routingKey', 'bare-url']);
  expect(await unreadSecrets({}, { reveal })).toEqual([]);
});

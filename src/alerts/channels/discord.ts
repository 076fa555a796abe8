import * as v from 'valibot';
import { clipped, headline, plainText, type StampedAlert } from '../alert.ts';
import { channel, heard, secret } from '../channel.ts';
import type { Post } from '../http.ts';

const colours = { INFO: 0x8b949e, SUCCESS: 0x2da44e, WARNING: 0xbf8700, ERROR: 0xcf222e, CRITICAL: 0x82071e } as const;

/** An embed's title holds 256 characters, its description 4,096; nobody is mentioned, whatever the text says (Discord's "Embed Limits"). */
export const discordPost = (url: string, alert: StampedAlert): Post => ({
  url,
  body: {
    allowed_mentions: { parse: [] },
    embeds: [
      {
        title: clipped(headline(alert), 256),
        description: clipped(`\`\`\`\n${plainText(alert).replaceAll('`', 'ˋ')}`, 4_000).concat('\n```'),
        color: alert.resolves ? colours.SUCCESS : colours[alert.severity],
        timestamp: alert.at,
      },
    ],
  },
});

export const discord = channel({
  settings: v.strictObject({ type: v.literal('discord'), url: secret, ...heard }),
  questions: [{ field: 'url', words: 'Address of the webhook', kind: 'secret' }],
  send: async ({ url }, alert, { reveal, post }, signal) => post(discordPost(await reveal(url), alert), signal),
});

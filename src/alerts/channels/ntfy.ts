import * as v from 'valibot';
import { clipped, headline, plainText, type StampedAlert } from '../alert.ts';
import { channel, heard, secret } from '../channel.ts';
import type { Post } from '../http.ts';

const priorities = { INFO: '2', SUCCESS: '3', WARNING: '3', ERROR: '4', CRITICAL: '5' } as const;

/** The body is the message, up to 4,096 bytes; a header holds ASCII, so the title is encoded (ntfy's documentation, "Publishing", RFC 2047). */
export const ntfyPost = (url: string, token: string | undefined, alert: StampedAlert): Post => ({
  url,
  headers: {
    title: `=?UTF-8?B?${Buffer.from(clipped(headline(alert), 180)).toString('base64')}?=`,
    priority: alert.resolves ? priorities.SUCCESS : priorities[alert.severity],
    tags: alert.resolves ? 'white_check_mark' : alert.severity === 'SUCCESS' ? 'white_check_mark' : 'warning',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  },
  body: Buffer.from(plainText(alert)).subarray(0, 4_000).toString(),
});

export const ntfy = channel({
  settings: v.strictObject({ type: v.literal('ntfy'), url: secret, token: v.optional(secret), ...heard }),
  questions: [
    { field: 'url', words: 'Address with the topic, like https://ntfy.sh/TOPIC', kind: 'secret' },
    { field: 'token', words: 'Access token (empty: none)', kind: 'secret', isOptional: true },
  ],
  send: async ({ url, token }, alert, { reveal, post }, signal) =>
    post(ntfyPost(await reveal(url), token && (await reveal(token)), alert), signal),
});

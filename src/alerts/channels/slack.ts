import * as v from 'valibot';
import { clipped, headline, plainText, type StampedAlert } from '../alert.ts';
import { channel, heard, secret } from '../channel.ts';
import type { Post } from '../http.ts';

/** A section holds 3,000 characters; &, < and > are Slack's own (Slack's documentation, "Formatting text for app surfaces"). */
const SECTION_LIMIT = 3_000;
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** An incoming webhook's message. */
export const slackPost = (url: string, alert: StampedAlert): Post => ({
  url,
  body: {
    text: clipped(escaped(headline(alert)), SECTION_LIMIT),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: clipped(headline(alert), 150) } },
      { type: 'section', text: { type: 'mrkdwn', text: clipped(escaped(plainText(alert)), SECTION_LIMIT) } },
    ],
  },
});

export const slack = channel({
  settings: v.strictObject({ type: v.literal('slack'), url: secret, ...heard }),
  questions: [{ field: 'url', words: 'Address of the incoming webhook', kind: 'secret' }],
  send: async ({ url }, alert, { reveal, post }, signal) => post(slackPost(await reveal(url), alert), signal),
});

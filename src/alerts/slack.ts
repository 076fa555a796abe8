import { clipped, headline, plainText, type StampedAlert } from './alert.ts';
import type { Post } from './http.ts';

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

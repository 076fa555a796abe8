import * as v from 'valibot';
import { clipped, plainText, type StampedAlert } from '../alert.ts';
import { channel, heard, secret, text } from '../channel.ts';
import type { Post } from '../http.ts';

const levels = { INFO: 'info', SUCCESS: 'info', WARNING: 'warning', ERROR: 'error', CRITICAL: 'critical' } as const;

/**
 * Events API v2: one incident for each topic of a host, which its end, or a success, resolves. A piece of news is a change event, which opens
 * nothing (PagerDuty's "Send a Change Event"); a test opens an incident, to show that it would, and closes it. The summary holds 1,024
 * characters.
 */
export function pagerdutyPosts(api: string, routingKey: string, alert: StampedAlert): readonly Post[] {
  const summary = clipped(alert.title, 1_024);
  const common = { routing_key: routingKey, dedup_key: `dbkit/${alert.host}/${alert.topic}` };
  const details = { text: plainText(alert) };
  const event = (action: 'trigger' | 'resolve'): Post => ({
    url: `${api}/v2/enqueue`,
    body: {
      ...common,
      event_action: action,
      payload: {
        summary,
        source: alert.host,
        severity: levels[alert.severity],
        timestamp: alert.at,
        group: alert.environment ?? undefined,
        component: 'postgresql',
        custom_details: details,
      },
    },
  });
  if (alert.topic === 'test') return [event('trigger'), event('resolve')];
  if (alert.resolves || alert.severity === 'SUCCESS') return [event('resolve')];
  if (alert.severity !== 'INFO') return [event('trigger')];
  const payload = { summary, source: alert.host, timestamp: alert.at, custom_details: details };
  return [{ url: `${api}/v2/change/enqueue`, body: { routing_key: routingKey, payload } }];
}

export const pagerduty = channel({
  settings: v.strictObject({
    type: v.literal('pagerduty'),
    routingKey: secret,
    api: v.optional(text, 'https://events.pagerduty.com'),
    ...heard,
  }),
  questions: [{ field: 'routingKey', words: 'Integration key (Events API v2)', kind: 'secret' }],
  send: async ({ api, routingKey }, alert, { reveal, post }, signal) => {
    for (const one of pagerdutyPosts(api, await reveal(routingKey), alert)) await post(one, signal);
  },
});

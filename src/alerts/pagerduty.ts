import { clipped, plainText, type StampedAlert } from './alert.ts';
import type { Post } from './http.ts';

const levels = { INFO: 'info', SUCCESS: 'info', WARNING: 'warning', ERROR: 'error', CRITICAL: 'critical' } as const;

/** Events API v2: one incident for each topic of a host, which its end resolves; the summary holds 1,024 characters. */
export const pagerdutyPost = (api: string, routingKey: string, alert: StampedAlert): Post => ({
  url: `${api}/v2/enqueue`,
  body: {
    routing_key: routingKey,
    event_action: alert.resolves ? 'resolve' : 'trigger',
    dedup_key: `dbkit/${alert.host}/${alert.topic}`,
    payload: {
      summary: clipped(alert.title, 1_024),
      source: alert.host,
      severity: levels[alert.severity],
      timestamp: alert.at,
      group: alert.environment ?? undefined,
      component: 'postgresql',
      custom_details: { text: plainText(alert) },
    },
  },
});

import type { Severity } from '../kernel/severity.ts';

/** One message about an event, for people who are not looking. */
export interface Alert {
  /** What it is about, the same for the beginning and the end of one trouble: 'health', 'recovery', 'monitor'. */
  readonly topic: string;
  readonly severity: Severity;
  /** The trouble is over. */
  readonly resolves: boolean;
  /** One line: what happened. */
  readonly title: string;
  /** What was seen and what was done, a sentence a line. */
  readonly lines: readonly string[];
  /** What to type next; null when there is nothing to do. */
  readonly command: string | null;
}

/** The alert with where and when, as channels send it. */
export interface StampedAlert extends Alert {
  readonly at: string;
  readonly host: string;
  /** 'production', 'staging'; null where nobody named it. */
  readonly environment: string | null;
}

/** What was told about each topic, remembered across restarts. */
export type Told = Readonly<Record<string, { readonly at: string; readonly severity: Severity; readonly title: string }>>;

/**
 * Whether to tell it: the same title about the same topic only once in `repeatAfterMs`, the end of a trouble only where its beginning was told,
 * and every success: it is no trouble that lasts, and each recovery has losses of its own to tell.
 * Pure; a moment in the future counts as now, so that a clock set back silences nothing for long.
 */
export function isNews(alert: Alert, told: Told, { nowMs, repeatAfterMs }: { nowMs: number; repeatAfterMs: number }): boolean {
  const before = told[alert.topic];
  if (alert.resolves) return before !== undefined;
  if (alert.severity === 'SUCCESS') return true;
  if (!before || before.title !== alert.title || before.severity !== alert.severity) return true;
  return nowMs - Math.min(Date.parse(before.at), nowMs) >= repeatAfterMs;
}

/** What is remembered after it was told. Pure. */
export function afterTelling(alert: Alert, told: Told, at: string): Told {
  const { [alert.topic]: _, ...others } = told;
  return alert.resolves || alert.severity === 'SUCCESS'
    ? others
    : { ...others, [alert.topic]: { at, severity: alert.severity, title: alert.title } };
}

/** 'CRITICAL db1 (production): the server is down' */
export const headline = ({ severity, host, environment, title, resolves }: StampedAlert): string =>
  `${resolves ? 'RESOLVED' : severity} ${host}${environment === null ? '' : ` (${environment})`}: ${title}`;

/** The whole message as plain text. */
export const plainText = (alert: StampedAlert): string =>
  [headline(alert), '', ...alert.lines, ...(alert.command === null ? [] : ['', `Type next: ${alert.command}`]), '', alert.at].join('\n');

/** Cut to what a channel takes, and seen to be cut. */
export const clipped = (text: string, limit: number): string => (text.length <= limit ? text : `${text.slice(0, limit - 1)}…`);

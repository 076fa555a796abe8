import type { Severity } from '../kernel/severity.ts';

/** One message about an event, for people who are not looking. */
export interface Alert {
  /** The subject, the same for the beginning and the end of one trouble: 'health', 'recovery', 'monitor'. */
  readonly topic: string;
  readonly severity: Severity;
  /** The trouble is over. */
  readonly resolves: boolean;
  /** One line: what happened. */
  readonly title: string;
  /** The facts and the actions, a sentence a line. */
  readonly lines: readonly string[];
  /** The command that comes next; null when there is nothing to do. */
  readonly command: string | null;
  /** Checks that failed in a row, of how many it takes. */
  readonly failures?: { readonly count: number; readonly limit: number };
  /** Null: the server never had to be recovered. */
  readonly lastRecoveryAt?: string | null;
  /** The probe whose answer it is about. */
  readonly probe?: string;
  /** A member of a cluster that has another role now. */
  readonly role?: { readonly member: string; readonly from: string; readonly to: string };
}

/** The alert with where and when, as channels send it. */
export interface StampedAlert extends Alert {
  readonly at: string;
  readonly host: string;
  /** 'PostgreSQL, port 5432, /var/lib/postgresql-data'. */
  readonly system: string;
  /** 'production', 'staging'; null where nobody named it. */
  readonly environment: string | null;
}

/** The last words that a channel got about each topic. */
export type Told = Readonly<Record<string, { readonly at: string; readonly severity: Severity; readonly title: string }>>;

/** The memory of one channel, across restarts. Only what it has taken counts as told. */
export interface ChannelMemory {
  readonly told: Told;
  /** Until when it wants to be left alone; null: it takes messages. */
  readonly retryAt: string | null;
  /** Messages that could not be told and will not come again by itself, oldest first. */
  readonly pending: readonly StampedAlert[];
}
export const untold: ChannelMemory = { told: {}, retryAt: null, pending: [] };

const PENDING_MAX = 20;

/** A success or a piece of news is no trouble that lasts. */
const isEvent = ({ severity }: Alert): boolean => severity === 'SUCCESS' || severity === 'INFO';
/** Findings of the next check are told again; anything else happens once. */
const comesAgain = ({ topic, resolves }: Alert): boolean => resolves || topic === 'health';

/**
 * Decides if it is told to a channel: the same title about the same topic only once in `repeatAfterMs`, the end of a trouble only where its
 * beginning was told, and every success: it is no trouble that lasts, and each recovery has losses of its own to tell.
 * Pure; a moment in the future counts as now, so that a clock set back silences nothing for long.
 */
export function isNews(alert: Alert, told: Told, { nowMs, repeatAfterMs }: { nowMs: number; repeatAfterMs: number }): boolean {
  const before = told[alert.topic];
  if (alert.resolves) return before !== undefined;
  if (isEvent(alert)) return true;
  if (!before || before.title !== alert.title || before.severity !== alert.severity) return true;
  return nowMs - Math.min(Date.parse(before.at), nowMs) >= repeatAfterMs;
}

/** A channel hears its severities, and the end of whatever trouble it was told: an incident that it opened must not stay open. */
export const isHeard = (alert: Alert, severities: readonly Severity[], told: Told): boolean =>
  severities.includes(alert.severity) || (told[alert.topic] !== undefined && (alert.resolves || alert.severity === 'SUCCESS'));

/** The memory once the channel has it. Pure. */
export function afterTelling(alert: Alert, memory: ChannelMemory, at: string): ChannelMemory {
  const { [alert.topic]: before, ...others } = memory.told;
  if (alert.resolves || alert.severity === 'SUCCESS') return { ...memory, told: others, retryAt: null };
  if (alert.severity === 'INFO') return { ...memory, retryAt: null }; // A trouble about the same topic goes on.
  return { ...memory, told: { ...others, [alert.topic]: { at, severity: alert.severity, title: alert.title } }, retryAt: null };
}

/** The memory when it did not get through: nothing as told, events for when the channel is back. Pure. */
export const afterFailing = (alert: StampedAlert, memory: ChannelMemory, retryAt: string | null): ChannelMemory => ({
  ...memory,
  retryAt,
  pending: comesAgain(alert) ? memory.pending : [...memory.pending, alert].slice(-PENDING_MAX),
});

/** A trouble that is over before its channel was told of it need not be told any more. Pure. */
export const withoutOver = (alert: Alert, memory: ChannelMemory): ChannelMemory => ({
  ...memory,
  pending: alert.resolves ? memory.pending.filter((late) => late.topic !== alert.topic || isEvent(late)) : memory.pending,
});

/** 'CRITICAL db1 (production): the server is down' */
export const headline = ({ severity, host, environment, title, resolves }: StampedAlert): string =>
  `${resolves ? 'RESOLVED' : severity} ${host}${environment === null ? '' : ` (${environment})`}: ${title}`;

/** The whole message as plain text: what happened, where, when, the details, and what to type. */
export function plainText(alert: StampedAlert): string {
  const { system, host, environment, at, lines, failures, lastRecoveryAt, role, command } = alert;
  const rows = [
    `System: ${system}, on ${host}`,
    `Environment: ${environment ?? 'not named'}`,
    `Time: ${at}`,
    ...(failures ? [`Failed checks: ${failures.count} of ${failures.limit}`] : []),
    ...(role ? [`Role: ${role.member}, from ${role.from} to ${role.to}`] : []),
    ...(lastRecoveryAt === undefined ? [] : [`Last recovery: ${lastRecoveryAt ?? 'none'}`]),
  ];
  return [headline(alert), '', ...lines, '', ...rows, ...(command === null ? [] : ['', `Type next: ${command}`])].join('\n');
}

/** Cut to what a channel takes, and seen to be cut. */
export const clipped = (text: string, limit: number): string => (text.length <= limit ? text : `${text.slice(0, limit - 1)}…`);

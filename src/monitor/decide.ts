import type { HealthReport, ProbeReport } from '../health/health.ts';
import type { Sample } from './measurements.ts';

/** What a monitor remembers from one check to the next, also across its own restarts: `<stateDir>/monitor.json`. */
export interface MonitorState {
  /** Checks in a row in which the server was down, hung or damaged. */
  readonly failures: number;
  /** Recoveries since the server was last well for a whole cooldown. */
  readonly recoveries: number;
  readonly lastRecoveryAt: string | null;
  /** Since when every check was well; null while one is not. */
  readonly wellSince: string | null;
  /** Until when a person wants it to stand by; null: it watches. */
  readonly pausedUntil: string | null;
  /** When he said so. */
  readonly pausedSince?: string | null | undefined;
  /** A person must look; `dbkit monitor resume` ends it. */
  readonly gaveUp: boolean;
}

export const watchingAnew: MonitorState = {
  failures: 0,
  recoveries: 0,
  lastRecoveryAt: null,
  wellSince: null,
  pausedUntil: null,
  gaveUp: false,
};

/** What the monitor knew after its last check. */
export interface MonitorMemory {
  read(): Promise<{ readonly state: MonitorState; readonly checkedAt: string; readonly events: readonly MonitorEvent[] } | undefined>;
  write(remembered: { readonly state: MonitorState; readonly checkedAt: string; readonly events: readonly MonitorEvent[] }): Promise<void>;
  /** The same for a monitor that goes on: where the disk takes nothing it is kept for as long as this process lives, and false. */
  writeOrHold(remembered: {
    readonly state: MonitorState;
    readonly checkedAt: string;
    readonly events: readonly MonitorEvent[];
  }): Promise<boolean>;
  /** The course of the last days, oldest first. */
  samples(): Promise<readonly Sample[]>;
  sample(next: Sample): Promise<void>;
  /** One monitor for each state directory. Rejects with `lock.held`, naming the other. */
  alone<T>(work: () => Promise<T>): Promise<T>;
}

export interface MonitorLimits {
  readonly maxFailures: number;
  readonly cooldownMs: number;
  readonly maxRecoveries: number;
}

/** What one check means for the server as a whole. */
export interface Seen {
  readonly verdict: 'well' | 'unwell' | 'waiting' | 'failed';
  /** The first probe that says so; null when all is well. */
  readonly probe: ProbeReport | null;
}

const why = ({ data }: ProbeReport): unknown => (data as { why?: unknown } | null)?.why;
const is =
  (...names: string[]) =>
  ({ name, status }: ProbeReport): boolean =>
    status === 'critical' && names.includes(name);

/**
 * First match wins, over the critical probes in their order. Only what a recovery can mend counts as failed: a slow night, a full disk, a lost
 * password or too many clients are for a person, and a server that starts or replays its WAL is left to it.
 */
export const verdicts: readonly (readonly [when: (probe: ProbeReport) => boolean, verdict: Seen['verdict'], because: string])[] = [
  [(probe) => is('connection')(probe) && why(probe) === 'starting', 'waiting', 'it starts, stops or replays its WAL'],
  [(probe) => is('service')(probe) && /is (starting|stopping)/.test(probe.summary), 'waiting', 'it starts, stops or replays its WAL'],
  [(probe) => is('connection')(probe) && why(probe) === 'full', 'unwell', 'its clients take every connection'],
  [(probe) => is('connection')(probe) && why(probe) === 'read-only', 'unwell', 'its volume is read-only'],
  [is('service', 'connection', 'data-directory'), 'failed', 'it is down, hung or damaged'],
  [({ status }) => status === 'critical' || status === 'unknown', 'unwell', 'a recovery would not mend it'],
];

/** What a whole check comes to. Waiting outweighs failed: the same crash shows in several probes. */
export function judgeCheck({ probes }: Pick<HealthReport, 'probes'>): Seen {
  const judged = probes.flatMap((probe) => {
    const row = verdicts.find(([when]) => when(probe));
    return row ? [{ verdict: row[1], probe }] : [];
  });
  for (const verdict of ['waiting', 'failed', 'unwell'] as const) {
    const first = judged.find((one) => one.verdict === verdict);
    if (first) return first;
  }
  return { verdict: 'well', probe: null };
}

/** What to do after a check; `because` is one sentence for people. */
export interface Decision {
  readonly action: 'none' | 'count' | 'recover' | 'leave' | 'tell' | 'give-up';
  readonly because: string;
}

interface Facts {
  readonly seen: Seen;
  readonly state: MonitorState;
  readonly limits: MonitorLimits;
  readonly nowMs: number;
  /** Somebody works on it: a backup, a restore, a stop that a person asked for, a held service. */
  readonly busy: string | null;
  /** Its files are on another machine, or in another container: there is nothing here that could be recovered. */
  readonly isRemote?: boolean;
}

const elapsedMs = (since: string | null, nowMs: number): number => (since === null ? Number.POSITIVE_INFINITY : nowMs - Date.parse(since));

/** First match wins. Top to bottom: when to stand by, when all is well, when it is not for the monitor, and how often it may try. */
export const decisions: readonly (readonly [when: (facts: Facts) => boolean, action: Decision['action'], because: string])[] = [
  [
    ({ state, nowMs }) => state.pausedUntil !== null && Date.parse(state.pausedUntil) > nowMs,
    'none',
    'a person wants it left alone for now',
  ],
  [({ seen }) => seen.verdict === 'well', 'none', 'all is well'],
  [({ seen }) => seen.verdict === 'waiting', 'none', 'it starts, stops or replays its WAL, which takes as long as it takes'],
  [({ seen }) => seen.verdict === 'unwell', 'none', 'a recovery would not mend that'],
  [({ busy }) => busy !== null, 'none', 'somebody works on it'],
  [({ state }) => state.gaveUp, 'none', 'a person must look: `dbkit monitor resume` lets it try again'],
  [({ state, limits }) => state.failures + 1 < limits.maxFailures, 'count', 'once more or twice may be chance'],
  [({ isRemote }) => isRemote === true, 'tell', 'its files are not here, so it can only be told, and started where they are'],
  [({ state, limits }) => state.recoveries >= limits.maxRecoveries, 'give-up', 'it was recovered too often; a person must look'],
  [
    ({ state, limits, nowMs }) => elapsedMs(state.lastRecoveryAt, nowMs) < limits.cooldownMs,
    'count',
    'the last recovery was a short while ago',
  ],
  [() => true, 'recover', 'it failed often enough in a row'],
];

/** What to do, and what is remembered of it. Pure; a clock that was set back makes nothing wait longer than a whole cooldown. */
export function decide(given: Facts): { readonly decision: Decision; readonly state: MonitorState } {
  const facts = { ...given, state: withoutFuture(given.state, given.nowMs) };
  const { seen, state, limits, nowMs, busy } = facts;
  const [, action, because] = decisions.find(([when]) => when(facts))!; // The last row always matches.
  const decision = { action, because: busy !== null && because === 'somebody works on it' ? busy : because };
  const now = new Date(nowMs).toISOString();
  if (seen.verdict === 'well') {
    const wellSince = state.wellSince ?? now;
    const settled = nowMs - Date.parse(wellSince) >= limits.cooldownMs;
    return {
      decision,
      state: { ...state, failures: 0, wellSince, recoveries: settled ? 0 : state.recoveries, gaveUp: settled ? false : state.gaveUp },
    };
  }
  const unwell = { ...state, wellSince: null };
  switch (action) {
    case 'none':
    case 'leave':
      return { decision, state: seen.verdict === 'unwell' ? { ...unwell, failures: 0 } : unwell };
    case 'count':
      return { decision, state: { ...unwell, failures: state.failures + 1 } };
    case 'tell':
      return { decision, state: { ...unwell, failures: limits.maxFailures } }; // It stays due, and is news only once.
    case 'recover':
      return { decision, state: { ...unwell, failures: 0, recoveries: state.recoveries + 1, lastRecoveryAt: now } };
    case 'give-up':
      return { decision, state: { ...unwell, failures: state.failures + 1, gaveUp: true } };
  }
}

/** What a check that may not recover makes of a due recovery: nothing is counted, so that whoever may comes to the same decision. */
export function leaveToAnother(before: MonitorState): { readonly decision: Decision; readonly state: MonitorState } {
  return {
    decision: { action: 'leave', because: 'a recovery is due, and left to another process' },
    state: { ...before, wellSince: null },
  };
}

/** A moment that has not come yet was written before the clock was set back: it is taken for now. So is the beginning of a pause, which lasts no longer for it. */
function withoutFuture(state: MonitorState, nowMs: number): MonitorState {
  const past = (at: string | null): string | null => (at !== null && Date.parse(at) > nowMs ? new Date(nowMs).toISOString() : at);
  const { pausedSince: since, pausedUntil: until } = state;
  const lateMs = since && until ? Math.max(0, Date.parse(since) - nowMs) : 0;
  const pause = lateMs > 0 ? { pausedSince: past(since!), pausedUntil: new Date(Date.parse(until!) - lateMs).toISOString() } : {};
  return { ...state, ...pause, lastRecoveryAt: past(state.lastRecoveryAt), wellSince: past(state.wellSince) };
}

/** Something that happened, for the history. */
export interface MonitorEvent {
  readonly at: string;
  readonly what: string;
}

const EVENTS_MAX = 200;

/** The newest events, oldest first. */
export const remembered = (events: readonly MonitorEvent[], more: readonly MonitorEvent[]): MonitorEvent[] =>
  [...events, ...more].slice(-EVENTS_MAX);

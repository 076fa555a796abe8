import { decide as firstMatch, type Row } from '../kernel/reasons.ts';
import type { Sample } from './measurements.ts';
import type { Seen } from './verdict.ts';

/** The memory of a monitor from one check to the next, also across its own restarts: `<stateDir>/monitor.json`. */
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
  /** 'down': a planned stop, which ends when the services are started again. */
  readonly pausedBy?: 'down' | 'person' | null | undefined;
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

/** The state of the monitor after its last check. */
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

export type Action = 'none' | 'count' | 'recover' | 'leave' | 'tell' | 'give-up';

/** The action after a check, and which row says so. */
export interface Decision {
  readonly action: Action;
  readonly id: DecisionId;
  /** The worker, where that is the reason. */
  readonly busy: Busy | null;
}

/** Somebody works on it: the supervisor says in which state the service is. */
export type Busy = 'held' | 'stopped' | 'working';

export interface Facts {
  readonly seen: Seen;
  readonly state: MonitorState;
  readonly limits: MonitorLimits;
  readonly nowMs: number;
  readonly busy: Busy | null;
  /** Its files are on another machine, or in another container: there is nothing here that could be recovered. */
  readonly isRemote?: boolean;
  /** Patroni runs it: nothing beside Patroni may start or rebuild it. */
  readonly isMember?: boolean;
}

const elapsedMs = (since: string | null, nowMs: number): number => (since === null ? Number.POSITIVE_INFINITY : nowMs - Date.parse(since));

/** First match wins. Top to bottom: when to stand by, when all is well, when it is not for the monitor, and how often it may try. */
export const decisions = [
  {
    id: 'paused',
    when: ({ state, nowMs }) => state.pausedUntil !== null && Date.parse(state.pausedUntil) > nowMs,
    then: 'none',
    words: 'a person wants it left alone for now',
  },
  { id: 'all-well', when: ({ seen }) => seen.verdict === 'well', then: 'none', words: 'all is well' },
  {
    id: 'let-it-start',
    when: ({ seen }) => seen.verdict === 'waiting',
    then: 'none',
    words: 'it is starting, stopping or replaying WAL, which may take long',
  },
  {
    id: 'not-for-recovery',
    when: ({ seen }) => seen.verdict === 'unwell',
    then: 'none',
    words: 'a recovery would not mend that',
  },
  { id: 'somebody-works', when: ({ busy }) => busy !== null, then: 'none', words: 'somebody works on it' },
  {
    id: 'gave-up-before',
    when: ({ state }) => state.gaveUp,
    then: 'none',
    words: 'a person must look: `dbkit monitor resume` lets it try again',
  },
  {
    id: 'too-few-failures',
    when: ({ state, limits }) => state.failures + 1 < limits.maxFailures,
    then: 'count',
    words: 'fewer than monitor.maxFailures checks failed in a row',
  },
  {
    id: 'under-patroni',
    when: ({ isMember }) => isMember === true,
    then: 'tell',
    words: 'only Patroni, which runs it, starts or rebuilds it',
  },
  {
    id: 'files-elsewhere',
    when: ({ isRemote }) => isRemote === true,
    then: 'tell',
    words: 'its files are not here, so it can only be told, and started where they are',
  },
  {
    id: 'recovered-too-often',
    when: ({ state, limits }) => state.recoveries >= limits.maxRecoveries,
    then: 'give-up',
    words: 'it was recovered too often; a person must look',
  },
  {
    id: 'cooling-down',
    when: ({ state, limits, nowMs }) => elapsedMs(state.lastRecoveryAt, nowMs) < limits.cooldownMs,
    then: 'count',
    words: 'the last recovery was less than monitor.cooldownSeconds ago',
  },
  { id: 'recovery-due', when: () => true, then: 'recover', words: 'monitor.maxFailures checks failed in a row' },
] as const satisfies readonly Row<Facts, Action>[];
/** 'left-to-another': a check that may not recover met a recovery that is due. */
export type DecisionId = (typeof decisions)[number]['id'] | 'left-to-another';

/** The action, and what is remembered of it. Pure; a clock that was set back makes nothing wait longer than a whole cooldown. */
export function decide(given: Facts): { readonly decision: Decision; readonly state: MonitorState } {
  const facts = { ...given, state: withoutFuture(given.state, given.nowMs) };
  const { seen, state, limits, nowMs, busy } = facts;
  const row = firstMatch(decisions, facts);
  const action: Action = row.then;
  const decision = { action, id: row.id, busy: row.id === 'somebody-works' ? busy : null };
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

/** The decision of a check that may not recover: nothing is counted, so that whoever may comes to the same decision. */
export function leaveToAnother(before: MonitorState): { readonly decision: Decision; readonly state: MonitorState } {
  return {
    decision: { action: 'leave', id: 'left-to-another', busy: null },
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

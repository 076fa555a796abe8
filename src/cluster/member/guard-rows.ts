import { decide } from '../../kernel/reasons.ts';

/** Everything that the guard of a member knows at one moment. Times are of a clock that only goes forward. */
export interface GuardFacts {
  /** Its server takes writes, as far as anybody here knows. */
  readonly isPrimary: boolean;
  readonly isPaused: boolean;
  /** Patroni has lost the store, and every member has told the leader to go on. */
  readonly isFailsafe: boolean;
  /** Since the guard itself looked last: longer than it waits means that nothing here ran. */
  readonly stoodStillMs: number;
  /** Since the lease was known to be renewed. */
  readonly unprovenMs: number;
  /** After so long without proof another member may soon be promoted. */
  readonly fenceAfterMs: number;
  /** With the cluster's timeouts a lease that is well is seen to be renewed in time (`canTell`). */
  readonly canTell: boolean;
  /** Its Patroni has answered here once, so silence means something. */
  readonly isHeard: boolean;
  /** Since Patroni answered last, or was started. */
  readonly silentMs: number;
  readonly silentMaxMs: number;
}

export type GuardAct = 'leave' | 'fence' | 'replace-patroni';

interface GuardRow {
  readonly id: string;
  readonly when: (facts: GuardFacts) => boolean;
  readonly then: GuardAct;
  readonly words: string;
}

/** First match wins. A stall of its own comes before everything that may be old news by now, but for a person's word. */
const rows = [
  { id: 'guard-paused', when: ({ isPaused }) => isPaused, then: 'leave', words: 'automatic failover is off, so nobody else is promoted' },
  {
    id: 'guard-stood-still',
    when: ({ isPrimary, stoodStillMs, fenceAfterMs }) => isPrimary && stoodStillMs > fenceAfterMs,
    then: 'fence',
    words: 'nothing ran here for {stoodStillMs} ms, so another member may lead by now',
  },
  {
    id: 'guard-failsafe',
    when: ({ isFailsafe }) => isFailsafe,
    then: 'leave',
    words: 'the store is gone, and all members let the leader go on',
  },
  {
    id: 'guard-unheard',
    when: ({ isHeard }) => !isHeard,
    then: 'leave',
    words: 'its Patroni has never answered here, so its silence says nothing',
  },
  {
    id: 'guard-lease-unproven',
    when: ({ isPrimary, unprovenMs, fenceAfterMs, canTell }) => canTell && isPrimary && unprovenMs > fenceAfterMs,
    then: 'fence',
    words: 'the lease was not seen to be renewed for {unprovenMs} ms, and another member may be promoted soon',
  },
  {
    id: 'guard-patroni-silent',
    when: ({ silentMs, silentMaxMs }) => silentMs > silentMaxMs,
    then: 'replace-patroni',
    words: 'the member’s Patroni has not answered for {silentMs} ms',
  },
  { id: 'guard-content', when: () => true, then: 'leave', words: 'its Patroni answers, and its server may go on' },
] as const satisfies readonly GuardRow[];

export type GuardReason = (typeof rows)[number]['id'];
export const guardRows: readonly (GuardRow & { readonly id: GuardReason })[] = rows;

export const judgeGuard = (facts: GuardFacts): GuardRow & { readonly id: GuardReason } => decide(guardRows, facts);

/** For the postmaster to die, and for the look that notices it. */
const MARGIN_MS = 1_500;

/** The lease was renewed at the latest one round before it was seen, so another may be promoted `ttl` after that. */
export const fenceAfterMs = ({ ttlSeconds, loopWaitSeconds }: Timeouts): number =>
  Math.max(MARGIN_MS, (ttlSeconds - loopWaitSeconds) * 1000 - MARGIN_MS);

interface Timeouts {
  readonly ttlSeconds: number;
  readonly loopWaitSeconds: number;
}

/** Patroni sees the store once a round: where that is no oftener than the guard would fence, a leader that is well would be ended again and again. */
export const canTell = (timeouts: Timeouts): boolean => fenceAfterMs(timeouts) > timeouts.loopWaitSeconds * 1000 + 2 * MARGIN_MS;

/**
 * How long Patroni may say nothing. Only one whose server leads is replaced quickly: one that copies data, or sets a new cluster up, would leave
 * that half done.
 */
export function patienceMs({ hasBeenReady, hasAnswered, view, replacements }: Silence): number {
  if (!hasBeenReady || (view !== undefined && view.state !== 'running')) return SILENT_AT_WORK_MS;
  if (hasAnswered && view?.isPrimary) return SILENT_MS;
  return Math.min(SILENT_AT_WORK_MS, SILENT_AT_START_MS * 2 ** Math.max(0, replacements - 1));
}

const SILENT_MS = 3_000;
const SILENT_AT_START_MS = 10_000;
const SILENT_AT_WORK_MS = 60_000;

export interface Silence {
  /** Its server has been ready since dbkit runs it. */
  readonly hasBeenReady: boolean;
  /** It has answered since it was started. */
  readonly hasAnswered: boolean;
  /** Its last answer. */
  readonly view: { readonly isPrimary: boolean; readonly state: string } | undefined;
  /** How often it was replaced since it answered last: on a machine without time for it the next one would not come to answer either. */
  readonly replacements: number;
}

import type { Clock, Logger } from '../../kernel/machine.ts';
import { fill } from '../../kernel/reasons.ts';
import { type PatroniView, readPatroni, readSettings } from '../answers.ts';
import { leastTtlSeconds } from '../facts.ts';
import type { AskPatroni } from '../patroni.ts';
import { fenceServer, writableServerOn } from './fence.ts';
import { canTell, fenceAfterMs, judgeGuard, patienceMs } from './guard-rows.ts';
import { type Lease, renewed } from './lease.ts';
import type { MemberFile } from './member-file.ts';

const EVERY_MS = 250;
const LIMIT_MS = 400;
const SETTINGS_EVERY_MS = 10_000;
/** A machine that is short of processors answers late: after a second of silence it gets more time. */
const LATE_AFTER_MS = 1_000;
const LATE_LIMIT_MS = 1_200;
/** Patroni's own, until it says others. */
const DEFAULTS = { ttlSeconds: 30, loopWaitSeconds: 10 };

export interface GuardNeeds {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly ask: AskPatroni;
  readonly member: MemberFile;
  /** SIGKILL for Patroni: one that is stopped and goes on would take a lock that it has lost. It is started again by whoever keeps it. */
  readonly killPatroni: () => void;
}

/** Watches over one member: what its Patroni says, and for how long it has said nothing. */
export interface Guard {
  /** Looks every 250 ms until the signal fires. */
  watch(signal: AbortSignal): Promise<void>;
  /** A Patroni has just been started; `nothingWrites`: its server did not take writes then, so there was no lease to lose. */
  started(nothingWrites: boolean): void;
  /** Its server is ready: nothing is set up or copied any more. */
  ready(): void;
  /** The lease was renewed so lately that nobody else can have been promoted. */
  isLeaseHeld(): boolean;
  /** The last answer; undefined: none yet. */
  view(): PatroniView | undefined;
  fences(): number;
}

interface Watch {
  readonly needs: GuardNeeds;
  lease: Lease;
  lookedMs: number;
  answeredMs: number;
  hasAnswered: boolean;
  hasBeenReady: boolean;
  isHeard: boolean;
  view: PatroniView | undefined;
  settings: typeof DEFAULTS;
  settingsMs: number;
  fences: number;
  replacements: number;
}

export function createGuard(needs: GuardNeeds): Guard {
  const nowMs = needs.clock.monotonicMs();
  const watch: Watch = {
    needs,
    lease: { seenAt: undefined, provenMs: nowMs },
    lookedMs: nowMs,
    answeredMs: nowMs,
    hasAnswered: false,
    hasBeenReady: false,
    isHeard: false,
    view: undefined,
    settings: DEFAULTS,
    settingsMs: Number.NEGATIVE_INFINITY,
    fences: 0,
    replacements: 0,
  };
  return {
    watch: (signal) => keepLooking(watch, signal),
    started: (nothingWrites) => {
      watch.answeredMs = needs.clock.monotonicMs();
      watch.hasAnswered = false;
      if (!nothingWrites) watch.isHeard = true; // The lease was proven through this very address.
      if (nothingWrites) watch.lease = { ...watch.lease, provenMs: watch.answeredMs };
    },
    ready: () => {
      watch.hasBeenReady = true;
    },
    isLeaseHeld: () => needs.clock.monotonicMs() - watch.lease.provenMs <= fenceAfterMs(watch.settings),
    view: () => watch.view,
    fences: () => watch.fences,
  };
}

async function keepLooking(watch: Watch, signal: AbortSignal): Promise<void> {
  const { clock, log } = watch.needs;
  watch.lookedMs = clock.monotonicMs();
  while (!signal.aborted) {
    try {
      await lookOnce(watch, signal);
      await clock.sleep(EVERY_MS, signal);
    } catch (cause) {
      if (signal.aborted) return;
      log.warn('guard.failed', `the guard could not look: ${String(cause)}`); // One that ends guards nothing.
      await clock.sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }
}

async function lookOnce(watch: Watch, signal: AbortSignal): Promise<void> {
  const nowMs = watch.needs.clock.monotonicMs();
  const previousMs = watch.lookedMs;
  watch.lookedMs = nowMs;
  const stoodStillMs = nowMs - previousMs;
  if (stoodStillMs > fenceAfterMs(watch.settings)) await act(watch, stoodStillMs); // Before anybody is asked: nobody here has renewed anything.
  await listen(watch, { nowMs, previousMs }, signal);
  await act(watch, 0);
}

async function listen(watch: Watch, at: { readonly nowMs: number; readonly previousMs: number }, signal: AbortSignal): Promise<void> {
  const { ask, member, clock } = watch.needs;
  const timeoutMs = at.nowMs - watch.answeredMs > LATE_AFTER_MS ? LATE_LIMIT_MS : LIMIT_MS;
  const { json, sentAt } = await ask(member, '/patroni', signal, { timeoutMs });
  const view = readPatroni(json);
  if (view === undefined) return;
  watch.view = view;
  watch.hasAnswered = true;
  watch.isHeard = true;
  watch.answeredMs = clock.monotonicMs();
  watch.replacements = 0;
  watch.lease = renewed(watch.lease, { view, sentAt }, at);
  if (at.nowMs - watch.settingsMs < SETTINGS_EVERY_MS) return;
  const settings = readSettings((await ask(member, '/config', signal, { timeoutMs: LIMIT_MS })).json);
  if (settings === undefined) return;
  if (watch.settingsMs === Number.NEGATIVE_INFINITY) sayWhetherItCanTell(watch, settings);
  watch.settingsMs = at.nowMs;
  watch.settings = {
    ttlSeconds: Math.max(settings.ttlSeconds, leastTtlSeconds(view.version)),
    loopWaitSeconds: settings.loopWaitSeconds,
  };
}

function sayWhetherItCanTell({ needs: { log, member } }: Watch, settings: typeof DEFAULTS): void {
  if (canTell(settings)) return;
  log.warn(
    'guard.cannot-tell',
    `with ttl ${settings.ttlSeconds} and loop_wait ${settings.loopWaitSeconds} the guard cannot tell in time that ${member.name} has lost its lease, so it ends no server for that: set ttl 20, loop_wait 2, retry_timeout 5`,
  );
}

/** Its server, as Patroni said last; where it never did, as the control file says. */
const isPrimary = async ({ view, needs }: Watch): Promise<boolean> =>
  view === undefined ? (await writableServerOn(needs.member.dataDir)) !== undefined : view.isPrimary;

async function act(watch: Watch, stoodStillMs: number): Promise<void> {
  const { clock, log, member, killPatroni } = watch.needs;
  const nowMs = clock.monotonicMs();
  const facts = {
    isPrimary: await isPrimary(watch),
    isPaused: watch.view?.isPaused ?? false,
    isFailsafe: watch.view?.isFailsafe ?? false,
    stoodStillMs: Math.round(stoodStillMs),
    unprovenMs: Math.round(nowMs - watch.lease.provenMs),
    fenceAfterMs: fenceAfterMs(watch.settings),
    canTell: canTell(watch.settings),
    isHeard: watch.isHeard,
    silentMs: Math.round(nowMs - watch.answeredMs),
    silentMaxMs: patienceMs(watch),
  };
  const { id, then, words } = judgeGuard(facts);
  if (then === 'leave') return;
  const why = fill(words, facts);
  if (then === 'fence') {
    const pid = await fenceServer(member.dataDir, clock);
    if (pid === undefined) return;
    watch.fences += 1;
    const tookMs = Math.round(clock.monotonicMs() - nowMs);
    log.error('guard.fenced', `the server of ${member.name} was ended in ${tookMs} ms: ${why}`, { reason: id, pid });
    return;
  }
  log.warn('guard.replaced', `${why}: it is ended and started again`, { reason: id });
  watch.answeredMs = nowMs; // Once, and then again only after it has had its time.
  watch.replacements += 1;
  watch.hasAnswered = false;
  killPatroni();
}

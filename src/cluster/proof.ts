import { within } from '../kernel/deadline.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { MemberFacts } from './facts.ts';
import { type ClusterNeeds, look, type Reach } from './look.ts';
import { placeOf } from './members.ts';
import { askServer, isTrouble } from './server.ts';
import { commitOnce } from './write-probe.ts';

/** A new leader, proven by its own server; seconds since it was asked for. */
export interface LeaderProof {
  /** The one that it writes on. */
  readonly timeline: number;
  /** Its server takes writes on a later timeline. */
  readonly writableSeconds: number;
  /** Patroni's lock is its own. */
  readonly lockSeconds: number;
  /** It acknowledged a commit. */
  readonly commitSeconds: number;
  /** The write address leads to it; null where none is named. */
  readonly routedSeconds: number | null;
}

const EVERY_MS = 250;

/**
 * Asks until the answer is yes. Rejects with `service.failed`, which says what did not come true; something has been changed by then. A question
 * that fails is asked again: what is asked for is under way.
 */
export async function until(
  what: string,
  { timeoutMs, clock, signal }: { readonly timeoutMs: number; readonly clock: ClusterNeeds['clock']; readonly signal: AbortSignal },
  ask: (signal: AbortSignal) => Promise<boolean>,
): Promise<void> {
  const endMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const leftMs = endMs - clock.monotonicMs();
    const isTrue =
      leftMs > 0 &&
      (await within([signal], leftMs, ask).catch(() => {
        signal.throwIfAborted();
        return false;
      }));
    if (isTrue) return;
    if (clock.monotonicMs() >= endMs)
      throw new DbkitError('service.failed', `not confirmed in time: ${what}`, {
        hint: 'look at the cluster before you try anything else: `dbkit ha status`',
        changed: true,
      });
    await clock.sleep(EVERY_MS, signal);
  }
}

/**
 * Waits until this member leads: its own server says it, it holds the lock, it acknowledges a commit, and the write address leads to it; all of it
 * within `timeoutMs`.
 */
export async function proveLeader(
  { config, clock }: ClusterNeeds,
  { ask }: Pick<Reach, 'ask'>,
  { name, api, server }: Pick<MemberFacts, 'name' | 'api' | 'server'>,
  wanted: { readonly timeline: number; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<LeaderProof> {
  const begunMs = clock.monotonicMs();
  const seconds = (): number => Math.round(clock.monotonicMs() - begunMs) / 1000;
  const prove = (what: string, asks: (bounded: AbortSignal) => Promise<boolean>): Promise<void> =>
    until(what, { timeoutMs: Math.max(0, begunMs + wanted.timeoutMs - clock.monotonicMs()), clock, signal }, asks);
  let startedAt = '';
  let timeline = wanted.timeline;
  await prove(`${name} takes writes on timeline ${wanted.timeline} or a later one`, async (bounded) => {
    const view = await askServer(server, config.postgresql, bounded);
    if (isTrouble(view) || !view.isWritable || view.timeline < wanted.timeline) return false;
    ({ startedAt, timeline } = view);
    return true;
  });
  const writableSeconds = seconds();
  await prove(`${name} holds the lock`, async (bounded) => (await ask({ api }, '/leader', bounded)).status === 200);
  const lockSeconds = seconds();
  await prove(`${name} acknowledges a commit`, async (bounded) => (await commitOnce(server, config.postgresql, bounded)).isWritable);
  const commitSeconds = seconds();
  const address = config.ha.writeAddress;
  if (address === undefined) return { timeline, writableSeconds, lockSeconds, commitSeconds, routedSeconds: null };
  await prove(`the write address ${address} leads to ${name}`, async (bounded) => {
    const committed = await commitOnce(placeOf(address), config.postgresql, bounded);
    return committed.isWritable && committed.startedAt === startedAt;
  });
  return { timeline, writableSeconds, lockSeconds, commitSeconds, routedSeconds: seconds() };
}

/** Waits until these members stream on the leader's timeline. */
export async function proveStreaming(
  needs: ClusterNeeds,
  reach: Reach,
  members: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const what = `${members.join(' and ')} ${members.length === 1 ? 'streams' : 'stream'} from the leader`;
  await until(what, { timeoutMs, clock: needs.clock, signal }, async (bounded) => {
    const facts = await look(needs, bounded, reach);
    const leader = facts.members.find(({ name }) => name === facts.leader);
    return members.every((name) => {
      const member = facts.members.find((one) => one.name === name);
      return member?.own?.isStreaming === true && leader?.own?.isWritable === true && member.own.timeline === leader.own.timeline;
    });
  });
}

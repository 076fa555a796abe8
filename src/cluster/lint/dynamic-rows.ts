import type { Finds } from '../finding.ts';
import { canTell } from '../member/guard-rows.ts';
import type { DynamicSetup } from './patroni-setup.ts';
import { isOff } from './setting-kinds.ts';

/** The target: the service is back within so many seconds of its leader's death (docs/guide/ha.md). */
export const RTO_TARGET_SECONDS = 30;

/** The dynamic configuration with Patroni's defaults filled in. */
export interface DynamicFacts {
  readonly setup: DynamicSetup;
  /** null: nobody knows which Patroni reads it. */
  readonly version: readonly number[] | null;
  readonly ttlSeconds: number;
  /** The one that counts: Patroni raises a ttl below 20 since 3.2. */
  readonly effectiveTtlSeconds: number;
  readonly loopWaitSeconds: number;
  readonly retryTimeoutSeconds: number;
  readonly startTimeoutSeconds: number;
  readonly lagBytes: number;
  readonly isSynchronous: boolean;
  readonly isStrict: boolean;
  readonly members: number;
}

const on = (value: boolean | null | undefined, byDefault: boolean): boolean => value ?? byDefault;
const parameter = ({ setup }: DynamicFacts, name: string): string => (setup.document.postgresql?.parameters[name] ?? '').toLowerCase();

/** Every row that matches is a danger in the settings that all members share. */
export const dynamicRows = [
  {
    id: 'setting-unreadable',
    when: ({ setup }) => setup.unreadable.length > 0,
    then: 'critical',
    words: 'the value of {unreadable} cannot be used',
    next: 'correct it; Patroni takes its default instead and says so only in its log',
  },
  {
    id: 'timeouts-exceed-ttl',
    when: ({ ttlSeconds, loopWaitSeconds, retryTimeoutSeconds }) => loopWaitSeconds + 2 * retryTimeoutSeconds > ttlSeconds,
    then: 'critical',
    words: 'loop_wait + 2 × retry_timeout is {timeouts} s, more than ttl ({ttl} s): a leader may be demoted while it is well',
    next: 'raise ttl, or lower retry_timeout',
  },
  {
    id: 'guard-cannot-tell',
    when: ({ effectiveTtlSeconds, loopWaitSeconds }) => !canTell({ ttlSeconds: effectiveTtlSeconds, loopWaitSeconds }),
    then: 'warning',
    words:
      'with ttl {ttl} s and this loop_wait dbkit’s guard cannot tell in time that a leader has lost its lease, so it ends none for that',
    next: 'lower loop_wait, or raise ttl: ttl 20, loop_wait 2, retry_timeout 5',
  },
  {
    id: 'failover-slower-than-target',
    when: ({ effectiveTtlSeconds, loopWaitSeconds }) => effectiveTtlSeconds + loopWaitSeconds >= RTO_TARGET_SECONDS,
    then: 'warning',
    words: 'a dead leader is replaced after ttl + loop_wait = {takeover} s, and the target is less than {target} s',
    next: 'set ttl 20, loop_wait 2, retry_timeout 5',
  },
  {
    id: 'ttl-raised-silently',
    when: ({ ttlSeconds, effectiveTtlSeconds }) => effectiveTtlSeconds > ttlSeconds,
    then: 'warning',
    words: 'ttl is {ttl} s, and Patroni since 3.2 counts {effectiveTtl} s without a word',
    next: 'write {effectiveTtl}, and expect a failover after that time',
  },
  {
    id: 'crash-keeps-the-lead',
    when: ({ startTimeoutSeconds, isSynchronous }) => isSynchronous && startTimeoutSeconds >= RTO_TARGET_SECONDS,
    then: 'warning',
    words: 'a server that crashed keeps the lead for up to {startTimeout} s while it starts (primary_start_timeout)',
    next: 'set primary_start_timeout 0: in synchronous mode another takes over without loss',
  },
  {
    id: 'crash-loses-rows',
    when: ({ startTimeoutSeconds, isSynchronous }) => !isSynchronous && startTimeoutSeconds === 0,
    then: 'warning',
    words: 'primary_start_timeout is 0 without synchronous mode: after each crash of the server another leads, and its last rows are lost',
    next: 'set primary_start_timeout 300, or synchronous_mode true',
  },
  {
    id: 'old-leader-may-win',
    when: ({ setup }) => !on(setup.document.check_timeline, false),
    then: 'warning',
    words: 'check_timeline is off: when all machines start at once an old leader may win, and what was written since is lost',
    next: 'set check_timeline true',
  },
  {
    id: 'acknowledged-rows-unprotected',
    when: ({ isSynchronous, members }) => !isSynchronous && members >= 3,
    then: 'warning',
    words: 'synchronous_mode is off with {members} members: the last acknowledged rows of a dead leader are lost',
    next: 'set synchronous_mode true',
  },
  {
    id: 'writes-stop-without-standby',
    when: ({ isStrict }) => isStrict,
    then: 'warning',
    words: 'synchronous_mode_strict is on: without a synchronous standby nothing is written any more',
    next: 'keep it only where that is wanted, with three members or more',
  },
  {
    id: 'store-outage-demotes',
    when: ({ setup }) => !on(setup.document.failsafe_mode, false),
    then: 'warning',
    words: 'failsafe_mode is off: when etcd is gone the leader stops taking writes although all members see each other',
    next: 'set failsafe_mode true',
  },
  {
    id: 'lag-limit-blocks-failover',
    when: ({ lagBytes, isSynchronous }) => !isSynchronous && lagBytes < 65_536,
    then: 'warning',
    words: 'maximum_lag_on_failover is {lag} bytes: under load no replica is ever so near, and nobody takes over',
    next: 'set 1048576, Patroni’s default',
  },
  {
    id: 'lag-limit-loses-much',
    when: ({ lagBytes, isSynchronous }) => !isSynchronous && lagBytes > 16 * 1_048_576,
    then: 'warning',
    words: 'maximum_lag_on_failover is {lag} bytes, and so much WAL may be lost at a failover',
    next: 'set 1048576, or synchronous_mode true',
  },
  {
    id: 'failover-left-off',
    when: ({ setup }) => on(setup.document.pause, false),
    then: 'warning',
    words: 'pause is true: automatic failover is off, and a leader that crashes stays down',
    next: 'turn it on when the work is done: `dbkit ha resume`',
  },
  {
    id: 'old-leader-not-rewound',
    when: ({ setup }) => !on(setup.document.postgresql?.use_pg_rewind, false),
    then: 'warning',
    words: 'use_pg_rewind is off: an old leader that went its own way must be copied again as a whole',
    next: 'set postgresql.use_pg_rewind true',
  },
  {
    id: 'replication-slots-off',
    when: ({ setup }) => !on(setup.document.postgresql?.use_slots, true),
    then: 'warning',
    words: 'use_slots is off: the leader may remove WAL that a replica still needs',
    next: 'set postgresql.use_slots true',
  },
  {
    id: 'crash-safety-off',
    when: (facts) => isOff(parameter(facts, 'fsync')) || isOff(parameter(facts, 'full_page_writes')),
    then: 'critical',
    words: 'fsync or full_page_writes is off: a crash destroys the data',
    next: 'turn both on',
  },
  {
    id: 'commits-not-awaited',
    when: (facts) =>
      isOff(parameter(facts, 'synchronous_commit')) || (facts.isSynchronous && parameter(facts, 'synchronous_commit') === 'local'),
    then: 'warning',
    words: 'synchronous_commit is {commit}: commits are acknowledged before they are safe, so a failover loses them',
    next: 'set synchronous_commit on',
  },
] as const satisfies readonly Finds<[DynamicFacts]>[];

/** `version`: [3, 0, 2]; null where nobody knows it. */
export function dynamicFacts(setup: DynamicSetup, { version, members }: Pick<DynamicFacts, 'version' | 'members'>): DynamicFacts {
  const { document } = setup;
  const ttlSeconds = document.ttl ?? 30;
  const mode = document.synchronous_mode ?? false;
  return {
    setup,
    version,
    members,
    ttlSeconds,
    effectiveTtlSeconds: version !== null && isSince(version, [3, 2, 0]) ? Math.max(ttlSeconds, 20) : ttlSeconds,
    loopWaitSeconds: document.loop_wait ?? 10,
    retryTimeoutSeconds: document.retry_timeout ?? 10,
    startTimeoutSeconds: document.primary_start_timeout ?? document.master_start_timeout ?? 300,
    lagBytes: document.maximum_lag_on_failover ?? 1_048_576,
    isSynchronous: mode !== false,
    isStrict: document.synchronous_mode_strict ?? false,
  };
}

/** [3, 10, 0] is since [3, 2, 0]. */
export function isSince(version: readonly number[], since: readonly [number, number, number]): boolean {
  const at = since.findIndex((part, index) => part !== (version[index] ?? 0));
  return at === -1 || (version[at] ?? 0) > since[at]!;
}

/** The words' facts. */
export const dynamicWords = (facts: DynamicFacts): Readonly<Record<string, unknown>> => ({
  ttl: facts.ttlSeconds,
  effectiveTtl: facts.effectiveTtlSeconds,
  timeouts: facts.loopWaitSeconds + 2 * facts.retryTimeoutSeconds,
  takeover: facts.effectiveTtlSeconds + facts.loopWaitSeconds,
  target: RTO_TARGET_SECONDS,
  startTimeout: facts.startTimeoutSeconds,
  lag: facts.lagBytes,
  members: facts.members,
  commit: parameter(facts, 'synchronous_commit'),
  unreadable: facts.setup.unreadable.join(', '),
});

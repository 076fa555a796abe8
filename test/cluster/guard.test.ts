import { expect, test } from 'vitest';
import { type AdmissionFacts, admissionRows, admit } from '../../src/cluster/member/admission.ts';
import { canTell, fenceAfterMs, type GuardFacts, guardRows, judgeGuard, patienceMs } from '../../src/cluster/member/guard-rows.ts';
import { renewed } from '../../src/cluster/member/lease.ts';

const content: GuardFacts = {
  isPrimary: true,
  isPaused: false,
  isFailsafe: false,
  stoodStillMs: 0,
  unprovenMs: 400,
  fenceAfterMs: 16_500,
  canTell: true,
  isHeard: true,
  silentMs: 100,
  silentMaxMs: 3_000,
};

const guarded = {
  'guard-paused': { isPaused: true, stoodStillMs: 60_000, unprovenMs: 60_000, silentMs: 60_000 },
  'guard-stood-still': { stoodStillMs: 16_501, isFailsafe: true },
  'guard-failsafe': { isFailsafe: true, unprovenMs: 60_000 },
  'guard-unheard': { isHeard: false, unprovenMs: 60_000, silentMs: 60_000 },
  'guard-lease-unproven': { unprovenMs: 16_501, silentMs: 16_501 },
  'guard-patroni-silent': { silentMs: 3_001, isPrimary: false },
  'guard-content': {},
} as const satisfies Record<(typeof guardRows)[number]['id'], Partial<GuardFacts>>;

test.each(guardRows.map(({ id }) => id))('the guard: %s', (id) => {
  expect(judgeGuard({ ...content, ...guarded[id] }).id).toBe(id);
});

test('a replica is never fenced: nothing that it acknowledged can be lost', () => {
  for (const over of [{ unprovenMs: 60_000 }, { stoodStillMs: 60_000 }])
    expect(judgeGuard({ ...content, isPrimary: false, ...over }).then).not.toBe('fence');
});

test('the server is ended before another member can be promoted', () => {
  expect(fenceAfterMs({ ttlSeconds: 20, loopWaitSeconds: 2 })).toBe(16_500);
  expect(fenceAfterMs({ ttlSeconds: 30, loopWaitSeconds: 10 })).toBe(18_500);
  expect(fenceAfterMs({ ttlSeconds: 5, loopWaitSeconds: 5 })).toBe(1_500);
});

test('where a lease that is well is seen no oftener than the guard would fence, the guard cannot tell, and ends nobody', () => {
  expect(canTell({ ttlSeconds: 20, loopWaitSeconds: 2 })).toBe(true);
  expect(canTell({ ttlSeconds: 30, loopWaitSeconds: 10 })).toBe(true); // Patroni's own.
  expect(canTell({ ttlSeconds: 20, loopWaitSeconds: 10 })).toBe(false);
  expect(judgeGuard({ ...content, canTell: false, fenceAfterMs: 8_500, unprovenMs: 9_900 }).then).toBe('leave');
});

test('a Patroni that sets up or copies is left alone for long, one that leads is replaced soon', () => {
  const leads = { hasBeenReady: true, hasAnswered: true, view: { isPrimary: true, state: 'running' }, replacements: 0 };
  expect(patienceMs(leads)).toBe(3_000);
  expect(patienceMs({ ...leads, view: { isPrimary: false, state: 'running' } })).toBe(10_000);
  expect(patienceMs({ ...leads, hasAnswered: false })).toBe(10_000);
  expect(patienceMs({ ...leads, hasBeenReady: false })).toBe(60_000);
  expect(patienceMs({ ...leads, view: { isPrimary: false, state: 'creating replica' } })).toBe(60_000);
});

test('on a machine without time for it a Patroni that does not come to answer gets twice as long each time', () => {
  const starting = { hasBeenReady: true, hasAnswered: false, view: { isPrimary: true, state: 'running' } };
  const patience = [0, 1, 2, 3, 4, 9].map((replacements) => patienceMs({ ...starting, replacements }));
  expect(patience).toEqual([10_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
});

const heard = (seconds: number, sentSeconds = seconds) => ({
  view: { dcsSeenAt: new Date(seconds * 1000), isPrimary: true, isPaused: false, isFailsafe: false, state: 'running' },
  sentAt: new Date(sentSeconds * 1000),
});

test('a proof of life is dated at the look before the one that saw it, never later', () => {
  const lease = { seenAt: 100_000, provenMs: 5_000 };
  const at = { nowMs: 8_000, previousMs: 7_750 };
  expect(renewed(lease, heard(102), at)).toEqual({ seenAt: 102_000, provenMs: 7_750 });
  expect(renewed(lease, heard(100), at)).toEqual(lease);
});

test('the first answer says how old its proof is, and a Patroni that has not seen the store proves nothing', () => {
  const none = { seenAt: undefined, provenMs: 0 };
  const at = { nowMs: 60_000, previousMs: 59_750 };
  expect(renewed(none, heard(100, 110), at)).toEqual({ seenAt: 100_000, provenMs: 49_000 });
  expect(renewed(none, heard(0, 110), at)).toEqual(none);
  expect(renewed({ seenAt: 100_000, provenMs: 5_000 }, heard(0, 110), at)).toEqual({ seenAt: 100_000, provenMs: 5_000 });
});

const fit: AdmissionFacts = { decision: 'start', isEmpty: false, leader: 'n2' };
const admitted = {
  'member-empty': { isEmpty: true, decision: 'initialize' },
  'member-damaged': { decision: 'reinitialize' },
  'member-damaged-and-nobody-leads': { decision: 'restore', leader: null },
  'member-refused': { decision: 'refuse' },
  'member-fit': {},
} as const satisfies Record<(typeof admissionRows)[number]['id'], Partial<AdmissionFacts>>;

test.each(admissionRows.map(({ id }) => id))('before Patroni starts: %s', (id) => {
  expect(admit({ ...fit, ...admitted[id] }).id).toBe(id);
});

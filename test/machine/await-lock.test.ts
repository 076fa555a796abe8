import { expect, test } from 'vitest';
import { DbkitError } from '../../src/kernel/errors.ts';
import type { HeldLock } from '../../src/kernel/machine.ts';
import { awaitLock } from '../../src/machine/await-lock.ts';

const lock: HeldLock = { path: '/l', fd: 3, guard: 'kernel', release: () => Promise.resolve() };
const held = (words: string) => new DbkitError('lock.held', words);
const never = new AbortController().signal;

/** A lock that somebody has for so many attempts, and a clock that only sleeping moves. */
function lockAfter(attempts: number, failure: (attempt: number) => Error = (attempt) => held(`held ${attempt}`)) {
  let [nowMs, made] = [0, 0];
  const clock = {
    monotonicMs: () => nowMs,
    sleep: async (durationMs: number, signal: AbortSignal) => {
      signal.throwIfAborted();
      nowMs += durationMs;
    },
  };
  const attempt = async (): Promise<HeldLock> => {
    made += 1;
    if (made <= attempts) throw failure(made);
    return lock;
  };
  return { attempt, clock, made: () => made };
}

test('a lock that is held for a while is waited for, and the wait is told once', async () => {
  const told: string[] = [];
  const { attempt, clock, made } = lockAfter(3);
  expect(await awaitLock(attempt, { clock, patienceMs: 1_000, signal: never, told: (words) => told.push(words) })).toBe(lock);
  expect([made(), told]).toEqual([4, ['held 1']]);
});

test.each([0, 250])('after %d ms of patience the holder of the last attempt is named', async (patienceMs) => {
  const { attempt, clock, made } = lockAfter(Number.POSITIVE_INFINITY);
  await expect(awaitLock(attempt, { clock, patienceMs, signal: never })).rejects.toMatchObject({ code: 'lock.held' });
  expect(made()).toBe(patienceMs === 0 ? 1 : 4);
});

test('any other failure ends the wait at once', async () => {
  const { attempt, clock, made } = lockAfter(9, () => new DbkitError('backup.missing', 'gone'));
  await expect(awaitLock(attempt, { clock, patienceMs: 1_000, signal: never })).rejects.toMatchObject({ code: 'backup.missing' });
  expect(made()).toBe(1);
});

test('a signal that is aborted ends the wait, and before it begins nothing is attempted', async () => {
  const stop = new AbortController();
  const { attempt, clock, made } = lockAfter(9, (number) => {
    if (number === 2) stop.abort();
    return held('');
  });
  await expect(awaitLock(attempt, { clock, patienceMs: 9_000, signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' });
  await expect(awaitLock(attempt, { clock, patienceMs: 9_000, signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' });
  expect(made()).toBe(2);
});

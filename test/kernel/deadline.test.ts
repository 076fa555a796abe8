import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { bound, withAny, within } from '../../src/kernel/deadline.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const never = (): Promise<never> => new Promise(() => undefined);

test('a limit fires although nobody holds it and the collector has been everywhere', async () => {
  const outer = new AbortController();
  const waiting = within([outer.signal], 150, never).catch((cause: unknown) => cause);
  const collecting = setInterval(collect, 5);
  try {
    expect(await Promise.race([waiting, sleep(5_000, 'waited for ever')])).toMatchObject({ name: 'TimeoutError' });
  } finally {
    clearInterval(collecting);
  }
});

test('the signal that the work is given fires too, after a collection, for work that only listens', async () => {
  const heard = within([new AbortController().signal], 100, (signal) => {
    return new Promise<string>((resolve) => signal.addEventListener('abort', () => resolve('heard')));
  }).catch(() => 'late');
  collect();
  expect(['heard', 'late']).toContain(await Promise.race([heard, sleep(5_000, 'waited for ever')]));
});

test('one of the others ends it with its own reason, and that is not late', async () => {
  const outer = new AbortController();
  const limit = bound([outer.signal], 60_000);
  outer.abort(new Error('told to stop'));
  expect(limit.signal.reason).toEqual(new Error('told to stop'));
  expect(limit.isLate()).toBe(false);
});

test('many may follow one signal, and nobody is warned of a leak', async () => {
  const warnings: Error[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on('warning', listen);
  const outer = new AbortController();
  await Promise.all(Array.from({ length: 30 }, () => within([outer.signal], 1_000, () => sleep(5))));
  await sleep(5);
  process.off('warning', listen);
  expect(warnings).toEqual([]);
});

test('a signal that has fired already leaves nothing to begin', async () => {
  const gone = AbortSignal.abort(new Error('before'));
  await expect(within([gone], 1_000, never)).rejects.toThrow('before');
});

test('what is released never fires, and work that is done has its answer', async () => {
  const limit = bound([], 20);
  limit.release();
  expect(await within([], 20, async () => 'done')).toBe('done');
  await sleep(60);
  expect(limit.signal.aborted).toBe(false);
});

test('without a race the work is waited for to its end', async () => {
  const outer = new AbortController();
  const done = withAny([outer.signal], async (signal) => {
    await sleep(30);
    return signal.aborted;
  });
  outer.abort();
  expect(await done).toBe(true);
});

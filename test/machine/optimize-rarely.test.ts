import { Script } from 'node:vm';
import { expect, test } from 'vitest';
import { knowsFlag, optimizingRarely } from '../../src/machine/optimize-rarely.ts';

/** True where V8 takes the part under its present flags. */
const takes = (source: string, cachedData: Buffer): boolean =>
  new Script(source, { filename: 'taken', cachedData }).cachedDataRejected === false;

test('code that was cached is taken again after the last of several such works, and after one that failed', async () => {
  const source = 'function twice(n) { return 2 * n; } twice(21)';
  const cached = new Script(source, { filename: 'cached' }).createCachedData();
  expect(takes(source, cached)).toBe(true);
  let end = (): void => undefined;
  const first = optimizingRarely(() => new Promise<void>((resolve) => (end = resolve)));
  await optimizingRarely(() => Promise.resolve());
  expect(takes(source, cached), 'one is not over yet').toBe(!knowsFlag);
  end();
  await first;
  expect(takes(source, cached)).toBe(true);
  await expect(optimizingRarely(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(takes(source, cached)).toBe(true);
});

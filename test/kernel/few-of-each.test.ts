import { expect, test } from 'vitest';
import { fewOfEach } from '../../src/kernel/few-of-each.ts';

const kindOf = (word: string): string => word[0]!;

test('of each kind the first few are shown, in their order, and then how many more there are', () => {
  expect(fewOfEach(['a1', 'b1', 'a2', 'a3', 'a4', 'b2', 'a5'], kindOf, 2)).toEqual([
    { item: 'a1' },
    { item: 'b1' },
    { item: 'a2' },
    { more: ['a3', 'a4', 'a5'] },
    { item: 'b2' },
  ]);
});

test('a single one more takes no less room than its own line', () => {
  expect(fewOfEach(['a1', 'a2', 'a3'], kindOf, 2)).toEqual([{ item: 'a1' }, { item: 'a2' }, { item: 'a3' }]);
});

test('five thousand are no work', () => {
  const many = Array.from({ length: 5_000 }, (_, index) => `a${index}`);
  expect(fewOfEach(many, kindOf)).toHaveLength(11);
  expect(fewOfEach([], kindOf)).toEqual([]);
});

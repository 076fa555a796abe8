import { expect, test } from 'vitest';
import { chainOf, parseTail, type TailPiece, tailKey } from '../../src/backups/offsite/tails.ts';

const segment = '000000010000000000000004';
const piece = (generation: number, from: number, to: number): TailPiece => {
  const key = tailKey({ timeline: '00000001', segment, generation, from, to });
  return { key, timeline: '00000001', segment, generation, from, to };
};
const chain = (...pieces: [number, number, number][]): string[] =>
  chainOf(pieces.map((one) => piece(...one))).map(({ generation, from, to }) => `${generation}: ${from}-${to}`);

test('a key says whose bytes they are, also with the suffix of a seal, and as it was before there were pieces', () => {
  const one = piece(2, 4096, 70_000);
  expect(parseTail(one.key)).toEqual(one);
  expect(parseTail(`${one.key}.age`)).toEqual({ ...one, key: `${one.key}.age` });
  expect(parseTail(`wal/00000001/tail/${segment}-00004e20.zst`)).toMatchObject({ segment, generation: 0, from: 0, to: 20_000 });
  expect(parseTail(`wal/00000001/${segment}-0123456789abcdef.zst`)).toBeUndefined();
});

test('the newest generation that begins at 0 counts alone, and only as far as its pieces follow one another', () => {
  expect(chain()).toEqual([]);
  expect(chain([1, 0, 100], [1, 100, 200], [1, 300, 400])).toEqual(['1: 0-100', '1: 100-200']);
  expect(chain([1, 0, 900], [1, 900, 950], [2, 0, 90]), 'bytes of before a crash count no more').toEqual(['2: 0-90']);
  expect(chain([1, 0, 900], [2, 900, 950]), 'a generation without its beginning').toEqual(['1: 0-900']);
  expect(chain([0, 0, 50], [0, 0, 70]), 'of before there were pieces').toEqual(['0: 0-70']);
});

import { expect, test } from 'vitest';
import { findBrokenHeaders } from '../../src/formats/pages.ts';

const SIZE = 8192;

/** A page with one line pointer (LP_NORMAL) to the 40 bytes at its end. */
function page({ upper = SIZE - 40, special = SIZE, xmin = 0 }: { upper?: number; special?: number; xmin?: number } = {}): Buffer {
  const bytes = Buffer.alloc(SIZE);
  if (special < SIZE) bytes[SIZE - 1] = 0xff; // The kind of an index.
  for (const [at, value] of [
    [12, 28],
    [14, upper],
    [16, special],
  ] as const)
    bytes.writeUInt16LE(value, at);
  bytes.writeUInt32LE(((40 << 17) | (1 << 15) | (SIZE - 40)) >>> 0, 24);
  bytes.writeUInt32LE(xmin, SIZE - 40);
  return bytes;
}

test('without checksums a table’s page is broken where a tuple has zeroes for a header, and only then', () => {
  const broken = (...pages: Buffer[]): number[] => findBrokenHeaders(Buffer.concat(pages), 7, SIZE);
  expect(broken(page({ xmin: 700 }), page(), Buffer.alloc(SIZE))).toEqual([8]);
  expect(broken(page({ special: SIZE - 16, upper: SIZE - 56 })), 'what is no item keeps its bytes there').toEqual([]);
  expect(broken(page({ upper: SIZE })), 'another kind of table keeps its bytes where items would be').toEqual([]);
  expect(broken(page({ upper: SIZE + 8, special: SIZE + 8, xmin: 700 }))).toEqual([7]);
});

test('without checksums a page of an index is broken where an entry begins with zeroes, or its special space is all zeroes', () => {
  const index = (change: (bytes: Buffer) => void = () => undefined): Buffer => {
    const bytes = page({ special: SIZE - 16, upper: SIZE - 56, xmin: 0 });
    bytes.writeUInt32LE(((40 << 17) | (1 << 15) | (SIZE - 56)) >>> 0, 24);
    bytes.writeUInt16LE(40, SIZE - 56 + 6); // The size of the entry.
    change(bytes);
    return bytes;
  };
  const broken = (bytes: Buffer): number => findBrokenHeaders(bytes, 0, SIZE).length;
  expect(broken(index())).toBe(0);
  expect(broken(index((bytes) => bytes.fill(0, SIZE - 56, SIZE - 48)))).toBe(1);
  expect(broken(index((bytes) => bytes.fill(0, 4096)))).toBe(1);
  expect(broken(index((bytes) => bytes.fill(0, SIZE - 56, SIZE - 48).writeUInt32LE(0x00020001, 24))), 'no item, so no entry').toBe(0);
});

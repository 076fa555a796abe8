import { expect, test } from 'vitest';
import { pageOf, unpackLz4, unpackPglz } from '../../src/formats/page-image.ts';

test('a block of LZ4 is unpacked: literals, and references back that overlap what they make', () => {
  // 'abc', then 12 bytes from 3 back, then the literal 'z'.
  const block = Buffer.from([0x38, 0x61, 0x62, 0x63, 0x03, 0x00, 0x10, 0x7a]);
  expect(unpackLz4(block, 16)?.toString()).toBe('abcabcabcabcabcz');
  expect(unpackLz4(block, 17)).toBeUndefined();
  expect(unpackLz4(Buffer.from([0x38, 0x61, 0x62, 0x63, 0x09, 0x00, 0x10, 0x7a]), 16)).toBeUndefined();
});

test('what pglz has packed is unpacked', () => {
  // Control 0b1000: three literals, then a reference of 9 bytes to 3 back; then a literal.
  const packed = Buffer.from([0x08, 0x61, 0x62, 0x63, 0x06, 0x03, 0x7a]);
  expect(unpackPglz(packed, 13)?.toString()).toBe('abcabcabcabcz');
  expect(unpackPglz(packed, 14)).toBeUndefined();
  expect(unpackPglz(Buffer.from([0x01, 0x06, 0x03]), 9)).toBeUndefined();
});

test('the hole that was left out of a page is there again, as zeroes', () => {
  const bytes = Buffer.concat([Buffer.alloc(100, 1), Buffer.alloc(92, 2)]);
  const page = pageOf({ bytes, packing: 'none', holeOffset: 100, holeBytes: 8000 });
  expect(page?.length).toBe(8192);
  expect([page?.[99], page?.[100], page?.[8099], page?.[8100]]).toEqual([1, 0, 0, 2]);
  expect(pageOf({ bytes, packing: 'none', holeOffset: 100, holeBytes: 7000 })).toBeUndefined();
  expect(pageOf({ bytes, packing: 'zstd', holeOffset: 100, holeBytes: 8000 })).toBeUndefined();
});

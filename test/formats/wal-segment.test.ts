import { describe, expect, test } from 'vitest';
import { crc32c } from '../../src/formats/crc32c.ts';
import {
  formatLsn,
  holdsSegment,
  lastSegmentOf,
  parseLsn,
  parseSegmentName,
  readSegmentHeader,
  recordEnd,
  segmentName,
  segmentOf,
  segmentRange,
} from '../../src/formats/wal-segment.ts';

const MIB = 1024 * 1024;

test('an LSN is read and written as PostgreSQL does', () => {
  expect(parseLsn('16/B374D848')).toBe(0x16_b374_d848n);
  expect(formatLsn(0x16_0000_00a8n)).toBe('16/A8');
  expect(() => parseLsn('16')).toThrow(RangeError);
});

test.each([
  [1, 1n, 16 * MIB, '000000010000000000000001'],
  [1, 255n, 16 * MIB, '0000000100000000000000FF'],
  [2, 256n, 16 * MIB, '000000020000000100000000'],
  [1, 63n, 64 * MIB, '00000001000000000000003F'],
  [1, 64n, 64 * MIB, '000000010000000100000000'],
  [1, 4095n, MIB, '000000010000000000000FFF'],
])('timeline %i, segment %i of %i bytes is %s', (timeline, segment, size, name) => {
  expect(segmentName(timeline, segment, size)).toBe(name);
  expect(parseSegmentName(name, size)).toEqual({ timeline, segment });
});

test('an end on a boundary belongs to the segment it ends', () => {
  expect(segmentOf(0x3000000n, 16 * MIB)).toBe(3n);
  expect(lastSegmentOf(0x3000000n, 16 * MIB)).toBe(2n);
  expect(lastSegmentOf(0x3000001n, 16 * MIB)).toBe(3n);
  expect(segmentRange(2n, 4n)).toEqual([2n, 3n, 4n]);
});

test('a record ends after its length, and after the page headers it crosses', () => {
  expect(recordEnd(0x2000028n, 114, 16 * MIB)).toBe(0x20000a0n);
  expect(recordEnd(0x2001ff0n, 114, 16 * MIB)).toBe(0x2002080n);
  expect(recordEnd(0x2fffff8n, 16, 16 * MIB)).toBe(0x3000030n);
});

describe("a segment's header", () => {
  const header = (address: bigint, timeline = 1): Buffer => {
    const page = Buffer.alloc(40);
    page.writeUInt16LE(0xd110, 0);
    page.writeUInt16LE(2, 2);
    page.writeUInt32LE(timeline, 4);
    page.writeBigUInt64LE(address, 8);
    page.writeBigUInt64LE(7_585_937_000_000_000_123n, 24);
    page.writeUInt32LE(16 * MIB, 32);
    return page;
  };
  const expected = { timeline: 1, segment: 3n, systemIdentifier: '7585937000000000123', segmentSizeBytes: 16 * MIB };

  test.each([
    ['the segment itself', header(0x3000000n), true],
    ['a recycled file, with an older address', header(0x1000000n), false],
    ['a later timeline', header(0x3000000n, 2), false],
    ['zeros', Buffer.alloc(40), false],
    ['a stump', header(0x3000000n).subarray(0, 20), false],
  ])('%s', (_, page, holds) => {
    expect(holdsSegment(readSegmentHeader(page), expected)).toBe(holds);
  });
  test('another system, another size', () => {
    const read = readSegmentHeader(header(0x3000000n));
    expect(holdsSegment(read, { ...expected, systemIdentifier: '1' })).toBe(false);
    expect(holdsSegment(read, { ...expected, segment: 48n, segmentSizeBytes: MIB })).toBe(false);
  });
});

test('CRC-32C, whole and in parts', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.from('6789'), crc32c(Buffer.from('12345')))).toBe(0xe3069283);
});

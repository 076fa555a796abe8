import { expect, test } from 'vitest';
import { walKeepBytes } from '../../src/instance/server/wal-keep.ts';
import { sizeBytes } from '../../src/kernel/units.ts';

const GIB = 1024 ** 3;

test('WAL is kept as far as asked, and never into the last fifth of the volume', () => {
  const of = (freeGiB: number): number => walKeepBytes(GIB, { sizeBytes: 10 * GIB, freeBytes: freeGiB * GIB });
  expect([of(9), of(3), of(2.5), of(2), of(0.1)]).toEqual([GIB, GIB, GIB / 2, 0, 0]);
});

test('sizes are PostgreSQL’s: powers of 1024', () => {
  expect([sizeBytes('1GB'), sizeBytes('1.5MB'), sizeBytes('64kB'), sizeBytes('0MB')]).toEqual([GIB, 1.5 * 1024 ** 2, 65_536, 0]);
});

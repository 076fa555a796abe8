import { expect, test } from 'vitest';
import { DbkitError, toFailure } from '../../src/kernel/errors.ts';
import { asThrown } from '../../src/machine/thread.ts';
import { threadsFor } from '../../src/machine/threads.ts';

test('a failure keeps its code, its hint and its class over a thread', () => {
  const before = new DbkitError('data.corrupt', 'pages of it are not what was written', { hint: 'use another backup', changed: true });
  const after = asThrown(structuredClone({ failure: toFailure(before) }));
  expect(after).toBeInstanceOf(DbkitError);
  expect(toFailure(after)).toEqual(toFailure(before));
});

test('an error of the system keeps its code over a thread', () => {
  expect(toFailure(asThrown({ thrown: { message: 'write: no space', code: 'ENOSPC' } }))).toMatchObject({ code: 'volume.full' });
});

const MIB = 1024 * 1024;
test.each([
  ['nothing', [], 1],
  ['one large file, and little beside it', [600, 90, 1], 1],
  ['one large file, and as much beside it', [600, 300, 300], 2],
  ['many files, a gigabyte together', Array.from({ length: 100 }, () => 10), 3],
  ['a small cluster', [90, 90], 1],
])('threads for %s', (_, sizes, count) => {
  expect(
    threadsFor(
      sizes.map((size) => ({ sizeBytes: size * MIB })),
      4,
      128 * MIB,
    ),
  ).toBe(count);
});

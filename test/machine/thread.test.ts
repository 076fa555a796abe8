import { expect, test } from 'vitest';
import { DbkitError, toFailure } from '../../src/kernel/errors.ts';
import { asThrown } from '../../src/machine/thread.ts';

test('a failure keeps its code, its hint and its class over a thread', () => {
  const before = new DbkitError('data.corrupt', 'pages of it are not what was written', { hint: 'use another backup', changed: true });
  const after = asThrown(structuredClone({ failure: toFailure(before) }));
  expect(after).toBeInstanceOf(DbkitError);
  expect(toFailure(after)).toEqual(toFailure(before));
});

test('an error of the system keeps its code over a thread', () => {
  expect(toFailure(asThrown({ thrown: { message: 'write: no space', code: 'ENOSPC' } }))).toMatchObject({ code: 'volume.full' });
});

import { expect, test } from 'vitest';
import { type DoorFacts, doorFor, doorRows } from '../../src/boot/door.ts';

const facts: DoorFacts = {
  awaitsDump: false,
  isNew: false,
  isStandby: false,
  isProven: false,
  isSound: false,
  hasBackup: false,
  isJudged: false,
};

const cases: readonly (readonly [id: string, Partial<DoorFacts>, door: string])[] = [
  ['judged', { isJudged: true }, 'open'],
  ['dump-to-load', { awaitsDump: true, isNew: true, isJudged: true }, 'closed'],
  ['new-cluster', { isNew: true }, 'open'],
  ['standby', { isStandby: true }, 'open'],
  ['proven', { isProven: true, hasBackup: true }, 'open'],
  ['nothing-to-replace-it', { isSound: true }, 'open'],
  ['not-judged-yet', {}, 'closed'],
  ['not-judged-yet', { isSound: true, hasBackup: true }, 'closed'],
];

test.each(cases)('%s %j: %s', (id, more, door) => {
  expect(doorFor({ ...facts, ...more })).toMatchObject({ id, then: door });
});

test('every row is reached', () => {
  expect(doorRows.map(({ id }) => id).filter((id) => !cases.some(([known]) => known === id))).toEqual([]);
});

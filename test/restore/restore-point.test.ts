import { expect, test } from 'vitest';
import { decide } from '../../src/kernel/reasons.ts';
import { type RestorePointFacts, restorePointRow, restorePointRows } from '../../src/restore/restore-point-rows.ts';
import { everyRow } from '../harness/every-row.ts';

const possible: RestorePointFacts = { nameBytes: 14, unprintable: false, inRecovery: false, walLevel: 'replica' };

everyRow('can a restore point be made?', (facts: RestorePointFacts) => decide(restorePointRows, facts), {
  'restore-point-without-name': { ...possible, nameBytes: 0 },
  'restore-point-name-too-long': { ...possible, nameBytes: 64 },
  'restore-point-name-unprintable': { ...possible, unprintable: true },
  'restore-point-on-a-standby': { ...possible, inRecovery: true },
  'restore-point-with-minimal-wal': { ...possible, walLevel: 'minimal' },
  'restore-point-possible': possible,
});

test.each([
  ['before-release', 'restore-point-possible'],
  ['vor dem Übergang 2.0', 'restore-point-possible'],
  ['a'.repeat(63), 'restore-point-possible'],
  ['ü'.repeat(32), 'restore-point-name-too-long'],
  ['two\nlines', 'restore-point-name-unprintable'],
  ['\u001b[31mred', 'restore-point-name-unprintable'],
  ['', 'restore-point-without-name'],
])('the name %j', (name, id) => {
  expect(restorePointRow(name, undefined).id).toBe(id);
});

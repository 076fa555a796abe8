import { expect, test } from 'vitest';
import type { DatabaseProperties } from '../../src/backups/dump/manifest.ts';
import { asSnapshot, commentOf, nameOfMoment, snapshotDatabase } from '../../src/backups/snapshots/snapshot.ts';
import { nameFacts, type SnapshotFacts, snapshotRows } from '../../src/backups/snapshots/snapshot-rows.ts';
import { type TurnFacts, turnRows } from '../../src/backups/snapshots/turn-rows.ts';
import { type CheckoutFacts, checkoutRows } from '../../src/homes/git/auto-rows.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { everyRow } from '../harness/every-row.ts';

const possible: SnapshotFacts = {
  does: 'save',
  database: 'app',
  nameBytes: 6,
  unprintable: false,
  isBranchs: false,
  inRecovery: false,
  isThere: true,
  isServers: false,
  isSnapshot: false,
  isOpen: true,
  prepared: null,
  subscription: null,
  copyBytes: 8_000_000,
  freeBytes: 8_000_000,
};

everyRow('can a database be copied?', (facts: SnapshotFacts) => decide(snapshotRows, facts), {
  'snapshot-without-name': { ...possible, nameBytes: 0 },
  'snapshot-name-too-long': { ...possible, nameBytes: 64 },
  'snapshot-name-unprintable': { ...possible, unprintable: true },
  'snapshot-name-of-a-branch': { ...possible, isBranchs: true },
  'snapshot-on-a-standby': { ...possible, inRecovery: true },
  'snapshot-of-the-servers-own': { ...possible, database: 'postgres', isServers: true },
  'snapshot-of-a-snapshot': { ...possible, isSnapshot: true },
  'snapshot-of-nothing': { ...possible, isThere: false, isOpen: false },
  'snapshot-of-a-closed-database': { ...possible, isOpen: false },
  'snapshot-with-a-prepared-transaction': { ...possible, prepared: "'it''s'" },
  'snapshot-with-a-subscription': { ...possible, subscription: '"from elsewhere"' },
  'snapshot-without-room': { ...possible, freeBytes: 7_999_999 },
  'snapshot-possible': possible,
});

everyRow('what becomes of the data when a branch is checked out?', (facts: TurnFacts) => decide(turnRows, facts), {
  'branch-is-the-same': { from: 'main', to: 'main', isSaved: true },
  'branch-is-the-first': { from: null, to: 'main', isSaved: true },
  'branch-was-here-before': { from: 'main', to: 'feature', isSaved: true },
  'branch-is-new': { from: 'main', to: 'feature', isSaved: false },
});

const checkout: CheckoutFacts = { isOn: true, isOfFiles: false, isFirst: false, isLinked: false, branch: 'main', during: null };

everyRow('does the database follow a checkout?', (facts: CheckoutFacts) => decide(checkoutRows, facts), {
  'auto-is-off': { ...checkout, isOn: false },
  'auto-of-files': { ...checkout, isOfFiles: true },
  'auto-first-checkout': { ...checkout, isFirst: true },
  'auto-other-work-tree': { ...checkout, isLinked: true },
  'auto-detached': { ...checkout, branch: null, during: 'rebase' },
  'auto-during': { ...checkout, during: 'bisect' },
  'auto-branch': checkout,
});

test.each([
  ['a restore makes a database that is gone', { ...possible, does: 'restore', isThere: false, isOpen: false }],
  ['room that is not known is no obstacle', { ...possible, freeBytes: null }],
] as const)('%s', (_why, facts) =>
  expect(decide<SnapshotFacts, (typeof snapshotRows)[number]>(snapshotRows, facts).id).toBe('snapshot-possible'),
);

test('a name is measured in bytes, and what cannot be printed is seen', () => {
  expect(nameFacts('ü'.repeat(32))).toEqual({ nameBytes: 64, unprintable: false, isBranchs: false });
  expect(nameFacts('two\nlines')).toMatchObject({ unprintable: true });
  expect(nameFacts('feature/größer 2')).toMatchObject({ unprintable: false });
});

const at = new Date('2026-11-20T23:59:59.500Z');
const properties: DatabaseProperties = {
  owner: 'app',
  settings: [{ name: 'work_mem', value: '7MB' }],
  roleSettings: [],
  privileges: null,
  comment: null,
  connectionLimit: -1,
  isTemplate: false,
};
const record = { of: 'app', name: "it's", at: at.toISOString(), sizeBytes: 8_000_000, properties };
const database = 'dbkit_snapshot_20261120_235959';

test('the database of a snapshot has a name of its own, and a snapshot without one that of its moment', () => {
  expect(snapshotDatabase(at, ['app'])).toBe(database);
  expect(snapshotDatabase(at, [database])).toBe('dbkit_snapshot_20261121_000000');
  expect(nameOfMoment(at)).toBe('20261120_235959');
});

test('a snapshot is read back from its comment', () => {
  expect(asSnapshot({ database, comment: commentOf(record), isOurs: true })).toEqual({ ...record, database });
});

test.each([
  ['another database', { database: 'app' }],
  ['one that nobody commented', { comment: null }],
  ['one of a role that is no superuser, who may write any comment', { isOurs: false }],
  ['a comment that is no JSON', { comment: 'my own' }],
  ['a comment of another form', { comment: '{"schema":"dbkit.snapshot/v2"}' }],
])('%s is no snapshot', (_what, change) => {
  expect(asSnapshot({ database, comment: commentOf(record), isOurs: true, ...change })).toBeUndefined();
});

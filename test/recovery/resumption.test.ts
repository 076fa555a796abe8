import { expect, test } from 'vitest';
import { handlingOf, mountedEntries } from '../../src/recovery/mounted-entries.ts';
import { type Remains, resume, resumptions } from '../../src/recovery/resumption.ts';

const underWay: Remains = {
  journal: 'whole',
  leadsOutside: false,
  phase: 'set-aside',
  globalInPlace: false,
  sourceWhole: true,
  asideHasGlobal: true,
  nothingReplaced: false,
  complement: false,
  halfPublished: false,
  empty: false,
};
const lost: Remains = { ...underWay, journal: 'none', phase: undefined };

/** Every row, by what is left. */
const cases: readonly (readonly [id: string, remains: Remains])[] = [
  ['nothing-under-way', { ...lost, globalInPlace: true }],
  ['leads-outside', { ...underWay, leadsOutside: true }],
  ['goes-on', underWay],
  ['published', { ...underWay, phase: 'publish', globalInPlace: true, sourceWhole: false }],
  ['never-began', { ...underWay, globalInPlace: true, sourceWhole: false }],
  ['source-gone', { ...underWay, sourceWhole: false }],
  ['nothing-replaced', { ...underWay, phase: 'publish', sourceWhole: false, asideHasGlobal: false, nothingReplaced: true }],
  ['half-set-aside', { ...lost, complement: true }],
  ['half-published', { ...lost, journal: 'broken', halfPublished: true }],
  ['journal-lost', { ...lost, journal: 'broken', empty: true }],
  ['aside-gone', { ...underWay, sourceWhole: false, asideHasGlobal: false }],
  ['no-trace', { ...lost, asideHasGlobal: true }],
];

test.each(cases)('what is left of a replacement: %s', (id, remains) => expect(resume(remains).id).toBe(id));

test('every way to resume has a case', () => expect(cases.map(([id]) => id)).toEqual(resumptions.map(({ id }) => id)));

test('data that was emptied long after a replacement is not taken for the other half of it', () => {
  expect(resume({ ...lost, empty: true }).then).toBe('forget');
});

test.each([
  ['wal-volume', 'pg_wal', 'directory', 'contents'],
  ['data-of-one-cluster', 'base', 'directory', 'refuse'],
  ['data-of-one-cluster', 'pg_tblspc', 'directory', 'refuse'],
  ['data-of-one-cluster', '.dbkit', 'directory', 'refuse'],
  ['data-of-one-cluster', 'postgresql.auto.conf', 'file', 'refuse'],
  ['mounted-file', 'postgresql.conf', 'file', 'stays'],
  ['mounted-file', 'server.key', 'file', 'stays'],
  ['other-folder', 'log', 'directory', 'stays'],
  ['deeper', 'base/16384', 'directory', 'refuse'],
  ['deeper', 'conf.d/10-memory.conf', 'file', 'refuse'],
] as const)('a mount point below PGDATA: %s (%s)', (id, path, kind, then) => {
  expect(mountedEntries.find(({ when }) => when({ path, kind }))?.id).toBe(id);
  expect(handlingOf({ path, kind })).toBe(then);
});

import { expect, test } from 'vitest';
import { decideChange } from '../../src/backups/base/changed-since.ts';
import { isDueInFull } from '../../src/backups/base/create.ts';
import { isAncestor, parseHistory } from '../../src/backups/base/descent.ts';
import { isQuiet } from '../../src/backups/base/quiet-wal.ts';
import { baseBackupRecords, type WholeRecord } from '../../src/backups/base/record.ts';
import { planRecovery, reachedEnd } from '../../src/backups/base/recovery-setup.ts';
import { record } from './record.fixture.ts';

test('a record is read back as it was written, fields of a later version included', () => {
  expect(baseBackupRecords.parse(JSON.parse(JSON.stringify(record)))).toEqual(record);
  expect(baseBackupRecords.parse({ ...record, later: 1 })).toMatchObject({ later: 1 });
  expect(baseBackupRecords.toBackup(record, '/backup/data_20261120_195400')).toMatchObject({
    label: record.label,
    state: 'good',
    pgVersion: 15,
  });
});

test.each([
  ['another schema', { schema: 'dbkit.backup/v2' }],
  ['a label that leads elsewhere', { label: '../data_20261120_195400' }],
  ['a state nobody knows', { state: 'fine' }],
  ['no digest', { manifestSha256: '' }],
])('a record with %s is refused', (_, change) => {
  expect(() => baseBackupRecords.parse({ ...record, ...change })).toThrow();
});

const cluster = { systemIdentifier: record.systemIdentifier, timeline: 1, checkpointLsn: 0x3000028n };
test.each([
  ['no backup', { newest: undefined, cluster, quietSince: false }, true],
  ['a damaged newest', { newest: { ...record, state: 'damaged' as const }, cluster, quietSince: true }, true],
  ['another cluster', { newest: { ...record, systemIdentifier: '1' }, cluster, quietSince: true }, true],
  ['another timeline', { newest: record, cluster: { ...cluster, timeline: 2 }, quietSince: true }, true],
  [
    'the same checkpoint as a cold one',
    { newest: { ...record, mode: 'cold' as const, checkpointLsn: '0/3000028' }, cluster, quietSince: false },
    false,
  ],
  ['nothing but checkpoints since', { newest: record, cluster, quietSince: true }, false],
  ['writes since', { newest: record, cluster, quietSince: false }, true],
])('an automatic backup after %s', (_, facts, changed) => {
  expect(decideChange(facts).changed).toBe(changed);
});

test.each([
  ['shutdown checkpoint', 0, 0x00, true],
  ['full page image', 0, 0xb0, false],
  ['next OIDs', 0, 0x30, false],
  ['running transactions', 8, 0x10, true],
  ['lock of a standby', 8, 0x00, false],
  ['commit', 1, 0x00, false],
  ['insert', 10, 0x00, false],
])('%s is what an idle server writes: %4$s', (_, manager, info, quiet) => {
  expect(isQuiet({ manager, info })).toBe(quiet);
});

const end = {
  end: 0x5000100n,
  lastCommitAt: new Date('2026-11-20T20:00:00Z'),
  createsTablespaces: false,
  stopBefore: undefined,
  owed: undefined,
  timeline: 1,
  endsInArchive: false,
};
test('all the WAL is there: the server recovers as after a crash, on its own timeline', () => {
  const rolled = { segments: ['000000010000000000000003'], complete: true, ...end };
  expect(planRecovery(record, rolled)).toEqual({ newTimeline: false, backupLabel: undefined, settings: '' });
  expect(reachedEnd(record, rolled).phrase).toBe(
    "the end of the replaced instance's WAL (LSN 0/5000100, last commit 2026-11-20T20:00:00.000Z)",
  );
});

test('WAL is missing: a new timeline, and no setting of an earlier recovery interferes', () => {
  const rolled = {
    segments: [],
    complete: false,
    end: 0x2000138n,
    lastCommitAt: undefined,
    createsTablespaces: false,
    stopBefore: undefined,
    owed: undefined,
    timeline: 1,
    endsInArchive: false,
  };
  const { newTimeline, settings } = planRecovery(record, rolled);
  expect(newTimeline).toBe(true);
  expect(settings).toContain("restore_command = 'false'\nrecovery_target_timeline = 'current'\n");
  expect(settings).toContain("recovery_target_time = ''\n");
  expect(reachedEnd(record, { ...rolled, owed: 0x3000000n })).toEqual({
    at: null,
    lsn: record.stopLsn,
    owedLsn: '0/3000000',
    phrase: expect.stringContaining('the WAL since then is missing (it had come to LSN 0/3000000)'),
  });
});

test('a cold backup needs a label to replay anything, and has none of its own', () => {
  const cold: WholeRecord = { ...record, mode: 'cold', checkpointLsn: '0/3000028' };
  const { backupLabel } = planRecovery(cold, { segments: ['000000010000000000000003'], complete: true });
  expect(backupLabel).toContain('START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\nCHECKPOINT LOCATION: 0/3000028\n');
  expect(backupLabel).not.toContain('streamed');
  expect(planRecovery(cold, { segments: [], complete: true }).backupLabel).toBeUndefined();
});

test('tablespaces inside the data directory must be allowed', () => {
  const spaced = { ...record, tablespaces: [{ oid: '16384', location: '/space' }] };
  expect(planRecovery(spaced, { segments: [], complete: true }).settings).toContain('allow_in_place_tablespaces = on');
});

const history = parseHistory('1\t0/5000000\tno recovery target specified\n2\t0/7000000\tno recovery target specified\n');
test.each([
  ['of the same timeline', { timeline: 3, stopLsn: '0/9000000' }, true],
  ['of the parent, before it was left', { timeline: 2, stopLsn: '0/6FFFFFF' }, true],
  ['of the parent, up to the very point', { timeline: 2, stopLsn: '0/7000000' }, true],
  ['of the parent, after it was left', { timeline: 2, stopLsn: '0/7000028' }, false],
  ['of a grandparent, after it was left', { timeline: 1, stopLsn: '0/6000000' }, false],
  ['of a timeline that an undo has left', { timeline: 4, stopLsn: '0/7000000' }, false],
])('today descends from a backup %s: %j, %s', (_, backup, expected) => {
  expect(isAncestor(backup, { timeline: 3, ancestry: history })).toBe(expected);
  expect(isAncestor(backup, { timeline: 3, ancestry: undefined })).toBe(backup.timeline <= 3);
});

test('every so many backups one shares nothing', () => {
  const [full, shared] = [{ previous: null }, { previous: 'data_20261120_195400' }];
  expect(isDueInFull([full, shared, shared], 0), 'none has to').toBe(false);
  expect(isDueInFull([full, shared], 3)).toBe(false);
  expect(isDueInFull([full, shared, shared], 3)).toBe(true);
  expect(isDueInFull([full, shared, shared, full], 3)).toBe(false);
  expect(isDueInFull([shared, shared], 3), 'the full one has expired').toBe(true);
  expect(isDueInFull([full], 1)).toBe(true);
});

import { describe, expect, test } from 'vitest';
import { checksummedSegment, isDatabaseDirectory, isExcluded, relationFilter } from '../../src/backups/base/exclusions.ts';
import { type FileStamp, isUnchanged } from '../../src/backups/base/sharing.ts';
import type { BytePath } from '../../src/formats/byte-path.ts';

const path = (text: string): BytePath => text as BytePath;

describe('what stays out of a base backup', () => {
  test.each([
    ['', 'postmaster.pid', true],
    ['', 'backup_label', true],
    ['', 'recovery.signal', true],
    ['', '.dbkit', true],
    ['', 'dbkit.initializing', true],
    ['', 'postgresql.conf', false],
    ['', 'PG_VERSION', false],
    ['log', 'postmaster.pid', false],
    ['global', 'pg_control', true],
    ['global', 'pg_internal.init.1234', true],
    ['global', 'pg_filenode.map', false],
    ['base', 'pgsql_tmp', true],
    ['base/5', 'pgsql_tmp123.0', true],
    ['base/5', 'pg_control', false],
  ])('%s/%s: %s', (directory, name, excluded) => {
    expect(isExcluded(path(directory), name)).toBe(excluded);
  });

  test('temporary relations, and every fork of an unlogged one but its init fork', () => {
    const names = [
      '100',
      '100_init',
      '100_fsm',
      '100_vm',
      '100.1',
      '200',
      '200_fsm',
      't3_400',
      't3_400_fsm',
      't3_400.1',
      'PG_VERSION',
      '1000',
    ];
    const leaveOut = relationFilter(names);
    expect(names.filter((name) => !leaveOut(name))).toEqual(['100_init', '200', '200_fsm', 'PG_VERSION', '1000']);
  });
});

test.each([
  ['base/5', true],
  ['base', false],
  ['base/pgsql_tmp', false],
  ['global', false],
  ['pg_tblspc/16384/PG_15_202209061/5', true],
  ['pg_tblspc/16384/PG_15_202209061', false],
  ['pg_xact/5', false],
])('%s is a database directory: %s', (directory, expected) => {
  expect(isDatabaseDirectory(path(directory))).toBe(expected);
});

test.each([
  ['base/5/1259', 0],
  ['base/5/1259_fsm', 0],
  ['base/5/16384.12', 12],
  ['base/5/16384_vm.1', 1],
  ['global/1260', 0],
  ['global/pg_filenode.map', undefined],
  ['base/5/PG_VERSION', undefined],
  ['pg_xact/0000', undefined],
  ['pg_tblspc/16384/PG_15_202209061/5/16385.1', 1],
])('pages of %s are of segment %s', (file, segment) => {
  expect(checksummedSegment(path(file))).toBe(segment);
});

describe('what is shared with an earlier backup', () => {
  const second = 1_000_000_000n;
  const stamp: FileStamp = { sizeBytes: 8192, mtimeNs: 100n * second, ctimeNs: 100n * second, inode: 7n };
  const began = 200n * second;

  test('a file that is as it was, and was at rest before that copy began', () => {
    expect(isUnchanged(stamp, { ...stamp }, began)).toBe(true);
  });
  test.each([
    ['another size', { sizeBytes: 16_384 }],
    ['written since', { mtimeNs: 100n * second + 1n }],
    ['written and its time put back', { ctimeNs: 150n * second }],
    ['replaced by another file', { inode: 8n }],
  ])('not one with %s', (_, change) => {
    expect(isUnchanged({ ...stamp, ...change }, stamp, began)).toBe(false);
  });
  test('not one that was written just before that copy, or in its future', () => {
    for (const at of [began - second, began, began + 50n * second]) {
      const fresh = { ...stamp, mtimeNs: at, ctimeNs: at };
      expect(isUnchanged(fresh, { ...fresh }, began)).toBe(false);
    }
  });
  test('not one that it did not hold', () => {
    expect(isUnchanged(stamp, undefined, began)).toBe(false);
  });
});

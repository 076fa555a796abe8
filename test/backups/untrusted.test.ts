import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseManifest, readManifestText, renderManifest } from '../../src/backups/base/manifest.ts';
import { baseBackupRecords } from '../../src/backups/base/record.ts';
import { reread } from '../../src/backups/base/reread.ts';
import { openCatalog } from '../../src/backups/catalog.ts';
import { copyFile } from '../../src/backups/copy-file.ts';
import { dumpRecords } from '../../src/backups/dump/record.ts';
import { listTree } from '../../src/backups/list-tree.ts';
import { isPathInside, isPlainName, parseJson } from '../../src/backups/names.ts';
import { hashFile, readRegular } from '../../src/backups/regular-file.ts';
import { bytePath, fromText } from '../../src/formats/byte-path.ts';
import { testSystem } from './copy-engine.fixture.ts';

const signal = new AbortController().signal;
let root: string;
const within = (...names: string[]): string => join(root, ...names);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  writeFileSync(within('file'), 'bytes');
  symlinkSync('file', within('link'));
  symlinkSync('/dev/zero', within('endless'));
  mkdirSync(within('folder'));
  execFileSync('mkfifo', [within('pipe')]);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const irregular = ['link', 'endless', 'folder', 'pipe'];

test.each(irregular)('in place of a file a %s is read by nobody, and nobody waits for it', async (name) => {
  await expect(readRegular(within(name), 100)).rejects.toMatchObject({ code: 'data.corrupt' });
  await expect(hashFile(Buffer.from(within(name)), signal)).rejects.toMatchObject({ code: 'data.corrupt' });
  expect(reread({ path: fromText(name), from: fromText(within(name)), layers: undefined, sizeBytes: 5, pages: undefined })).toMatchObject({
    found: 'irregular',
  });
  const task = {
    path: fromText('f'),
    from: fromText(within(name)),
    to: fromText(within('copy')),
    sizeBytes: 5,
    sizeMaxBytes: 6,
    mode: 0o600,
  };
  const how = { owner: undefined, pages: undefined, sync: false, clone: true, untrusted: true };
  expect(() => copyFile({ ...task, ...how })).toThrow(/is not a regular file/);
});

test('a file is read up to the size that such a file may have', async () => {
  expect((await readRegular(within('file'), 5)).toString()).toBe('bytes');
  await expect(readRegular(within('file'), 4)).rejects.toMatchObject({ code: 'data.corrupt' });
});

test.each(irregular)('a record that is a %s is passed over; the list goes on', async (name) => {
  const said: string[] = [];
  const backupDir = within('backup');
  mkdirSync(backupDir);
  if (name === 'folder') mkdirSync(join(backupDir, 'dump_20261120_195400.json'));
  else if (name === 'pipe') execFileSync('mkfifo', [join(backupDir, 'dump_20261120_195400.json')]);
  else symlinkSync(name === 'endless' ? '/dev/zero' : within('file'), join(backupDir, 'dump_20261120_195400.json'));
  const places = { backupDir, partial: join(backupDir, '.partial') };
  const catalog = openCatalog(dumpRecords, places, undefined, await testSystem(said));
  expect(await catalog.labels()).toEqual(['dump_20261120_195400']);
  expect(await catalog.read('dump_20261120_195400')).toBeUndefined();
  expect(said.join('\n')).toMatch(/record-broken/);
});

test('names lead to one entry of a folder, paths stay inside', () => {
  for (const path of ['PG_VERSION', 'base/1/112', 'a b/"ü"']) expect(isPathInside(path), path).toBe(true);
  for (const path of ['', '/etc/passwd', '../x', 'a/../../x', 'a//b', './a', 'a/.', 'a\0b', `${'d/'.repeat(200)}f`])
    expect(isPathInside(path), path).toBe(false);
  expect(isPlainName('a/b')).toBe(false);
  expect(isPlainName('x'.repeat(2000))).toBe(false);
});

test('a manifest that names another folder is damaged, whatever its checksums say', () => {
  const wal = { timeline: 1, start: 1n, end: 2n };
  for (const path of ['../cron.d/evil', '/etc/cron.d/evil', 'base/../../evil']) {
    const file = { path: bytePath(Buffer.from(path)), sizeBytes: 1, modifiedAt: new Date(0), sha256: 'a'.repeat(64) };
    expect(() => parseManifest(renderManifest({ systemIdentifier: undefined, files: [file], wal }))).toThrow(/leads out of the backup/);
  }
});

test('a manifest that is a pipe is damaged, not waited for', async () => {
  execFileSync('mkfifo', [within('backup_manifest')]);
  await expect(readManifestText(root)).rejects.toMatchObject({ code: 'data.corrupt' });
});

test('a record names WAL by names that WAL has', () => {
  const parse = (name: string): unknown => baseBackupRecords.parse({ wal: [{ name, sizeBytes: 1, sha256: 'a'.repeat(64) }] });
  for (const name of ['../../cron.d/evil', '00000001/x', '']) expect(() => parse(name)).toThrow();
});

test('JSON that is nested without end is refused before it is read', () => {
  expect(parseJson(Buffer.from('{"a":[{"b":"[[[[\\"{{{{"}]}'), 'it')).toEqual({ a: [{ b: '[[[["{{{{' }] });
  expect(() => parseJson(Buffer.from('['.repeat(5_000_000)), 'it')).toThrow(/nested/);
  expect(() => parseJson(Buffer.from('{'), 'it')).toThrow(/not JSON/);
});

test('folders in folders without end are damage', async () => {
  mkdirSync(within(...Array<string>(70).fill('d')), { recursive: true });
  await expect(listTree(fromText(root), signal)).rejects.toMatchObject({ code: 'data.corrupt' });
});

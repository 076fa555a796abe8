import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { baseBackupRecords, type WholeRecord } from '../../src/backups/base/record.ts';
import { openHoldings } from '../../src/backups/holdings.ts';
import { readHead } from '../../src/backups/record-head.ts';
import { signal, testSystem } from './copy-engine.fixture.ts';
import { record } from './record.fixture.ts';

let backupDir: string;
beforeEach(() => {
  backupDir = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
});
afterEach(() => rmSync(backupDir, { recursive: true, force: true }));

const headOf = async (text: string): Promise<unknown> => {
  const path = join(backupDir, 'record');
  writeFileSync(path, text);
  const head = await readHead(path, 'sources');
  return head && JSON.parse(head.toString('utf8'));
};
const row = ['base/5/1259', 8192, '1', '2', '3'];
const line = (value: object): string => `${JSON.stringify(value)}\n`;

test('a record is read up to the rows of its files, however far they are', async () => {
  expect(await headOf(line({ label: 'a', sources: [row] }))).toEqual({ label: 'a' });
  expect(await headOf(line({ label: 'a', sources: [] }))).toEqual({ label: 'a' });
  const long = { label: 'a', note: 'ü'.repeat(200_000) };
  expect(await headOf(line({ ...long, sources: [row] }))).toEqual(long);
});

test('a note that looks like the field is a note', async () => {
  const note = 'x,"sources":[';
  expect(await headOf(line({ note, label: 'a', sources: [row] }))).toEqual({ note, label: 'a' });
});

test.each([
  ['a record that was cut short', line({ label: 'a', sources: [row, row] }).slice(0, -30)],
  ['another field behind the rows', line({ label: 'a', sources: [row], pinned: true })],
  ['a record that a person has laid out', `${JSON.stringify({ label: 'a', sources: [row] }, null, 2)}\n`],
  ['a record without rows', line({ label: 'a' })],
  ['an empty file', ''],
])('%s must be read whole to be judged', async (_, text) => {
  expect(await headOf(text)).toBeUndefined();
});

test('a list reads no rows; a change keeps every one of them', async () => {
  const said: string[] = [];
  const holdings = openHoldings(baseBackupRecords, backupDir, undefined, await testSystem(said));
  const path = join(backupDir, `${record.label}.json`);
  const whole: WholeRecord = { ...record, sources: Array.from({ length: 3 }, (_, at) => [`base/5/${at}`, 8192, '1', '2', '3']) };
  mkdirSync(join(backupDir, record.label));
  writeFileSync(path, line(whole));
  const [listed] = await holdings.records(signal);
  expect(listed).toMatchObject({ label: record.label, sizeBytes: record.sizeBytes });
  expect(listed).not.toHaveProperty('sources');
  await holdings.change(record.label, (now) => ({ ...now, pinned: true }), signal);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ ...whole, pinned: true });
  expect((await holdings.records(signal))[0]).toMatchObject({ pinned: true });
  expect(said.join('\n')).not.toMatch(/record-broken/);
});

test('rows that are broken cost the sharing with this backup, not the backup', async () => {
  const said: string[] = [];
  const holdings = openHoldings(baseBackupRecords, backupDir, undefined, await testSystem(said));
  mkdirSync(join(backupDir, record.label));
  writeFileSync(join(backupDir, `${record.label}.json`), line({ ...record, sources: [['base/5/1', -1, 'x']] }));
  expect(await holdings.recordOf(record, signal)).toMatchObject({ label: record.label });
  expect(await holdings.wholeOf(record, signal)).toBeUndefined();
  expect(said.join('\n')).toMatch(/record-broken/);
});

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CopiedFile, copyFile } from '../../src/backups/copy-file.ts';
import { hashFile } from '../../src/backups/regular-file.ts';
import { fromText } from '../../src/formats/byte-path.ts';
import { signal } from './copy-engine.fixture.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function copy(body: Buffer, sparse: boolean): CopiedFile {
  writeFileSync(join(root, 'from'), body);
  const [path, from, to] = [fromText('from'), fromText(join(root, 'from')), fromText(join(root, 'to'))];
  const sizes = { sizeBytes: body.length, sizeMaxBytes: body.length };
  return copyFile({ path, from, to, ...sizes, mode: 0o600, owner: undefined, pages: undefined, sync: true, sparse }).copied!;
}

const KIB = 1024;
const used = (): Buffer => Buffer.alloc(70 * KIB, 'w');

test.each([
  ['the rest of a WAL segment', Buffer.concat([used(), Buffer.alloc(3 * KIB * KIB)]), 128 * KIB],
  ['zeroes between bytes', Buffer.concat([used(), Buffer.alloc(2 * KIB * KIB), used()]), 256 * KIB],
  ['nothing but zeroes, of an odd size', Buffer.alloc(KIB * KIB + 5), 0],
  ['no zeroes', used(), 70 * KIB],
  ['an empty file', Buffer.alloc(0), 0],
])('%s: the same bytes, and only those that are none are left out', async (_, body, writtenMaxBytes) => {
  const { sizeBytes, sha256, writtenBytes } = copy(body, true);
  expect(readFileSync(join(root, 'to')).equals(body)).toBe(true);
  expect({ sizeBytes, sha256 }).toEqual(await hashFile(Buffer.from(join(root, 'to')), signal));
  expect(writtenBytes).toBeLessThanOrEqual(writtenMaxBytes);
  expect(statSync(join(root, 'to')).size).toBe(body.length);
});

test('a file of the data is written whole: a server that goes on in it must find its room', () => {
  const { writtenBytes } = copy(Buffer.alloc(KIB * KIB), false);
  expect(writtenBytes).toBe(KIB * KIB);
});

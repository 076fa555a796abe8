import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findZeroedPage } from '../../src/inspection/zeroed-pages.ts';

const BLOCK = 8192;
const zero = Buffer.alloc(BLOCK);
const used = Buffer.alloc(BLOCK, 1);
const hash = Buffer.alloc(BLOCK, 1);
hash.writeUInt16LE(0xff80, BLOCK - 2);

test.each([
  ['nothing', [], undefined],
  ['pages in use', [used, used], undefined],
  ['a table that was extended ahead of its use', [used, zero, zero], undefined],
  ['a page zeroed in the middle', [used, zero, used], 1],
  ['the first of a table', [zero, used], 0],
  ['every one of a table', [zero, zero], 0],
  [
    'one far from the page that shows it',
    [...Array.from({ length: 100 }, () => used), ...Array.from({ length: 200 }, () => zero), used],
    100,
  ],
  ['a hash index, which lays out its buckets ahead', [hash, zero, used], undefined],
  ['the torn page behind a hole', [used, zero, used.subarray(0, 100)], undefined],
])('%s', async (_what, pages, expected) => {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-zeroed-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, '16384');
  await writeFile(file, Buffer.concat(pages));
  expect(findZeroedPage(file, BLOCK)).toBe(expected);
});

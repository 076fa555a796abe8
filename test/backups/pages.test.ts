import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { chooseStrategy, type StrategyFacts, type StrategyId } from '../../src/backups/base/pages/strategy.ts';
import { type CopyTask, copyFile } from '../../src/backups/copy-file.ts';
import { changesIn, rangesOf } from '../../src/backups/page-changes.ts';
import { fromText } from '../../src/formats/byte-path.ts';
import { openLayered } from '../../src/formats/layered-file.ts';
import { createDeltaWriter, openDelta } from '../../src/formats/page-delta.ts';
import { writeAll } from '../../src/formats/whole-pieces.ts';
import { loadZstdSync } from '../../src/formats/zstd.ts';
import { everyRow } from '../harness/every-row.ts';
import { withCalls } from '../harness/other-calls.ts';

const PAGE = 8192;
let root: string;
const within = (name: string): string => join(root, name);
const bytesOf = (name: string): Buffer => readFileSync(within(name));
beforeAll(async () => void (await loadZstdSync()));
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function layered(file: string, deltas: readonly string[], sizeBytes: number, stepBytes = 64 * 1024): Buffer {
  const source = openLayered(fromText(within(file)), { deltas: deltas.map((name) => fromText(within(name))), sizeBytes });
  const parts: Buffer[] = [];
  for (let position = 0; ; ) {
    const into = Buffer.alloc(stepBytes);
    const length = source.fill(into, stepBytes, position);
    parts.push(into.subarray(0, length));
    position += length;
    if (length < stepBytes) break;
  }
  source.close();
  return Buffer.concat(parts);
}

/** A new version of an earlier file, as a backup sees it. */
function compare(earlier: string, now: Buffer, number: number): ReturnType<typeof copyFile> {
  writeFileSync(within('source'), now);
  const paths = { path: fromText('f'), from: fromText(within('source')), to: fromText(within(`whole-${number}`)) };
  const task: CopyTask = {
    ...paths,
    sizeBytes: now.length,
    sizeMaxBytes: now.length,
    mode: 0o600,
    owner: undefined,
    pages: undefined,
    sync: false,
    against: {
      how: 'delta',
      number,
      earlier: fromText(within(earlier)),
      old: fromText(within(`${number}.old`)),
      fresh: fromText(within(`${number}.new`)),
    },
  };
  return copyFile(task);
}

/** Writes what was put aside into the earlier file; `upTo`: no more than so many of the changes. */
function writeOver(earlier: string, number: number, sizeBytes: number, upTo = Number.POSITIVE_INFINITY): void {
  const [target, changes] = [openSync(within(earlier), 'r+'), openSync(within(`${number}.new`), 'r')];
  let done = 0;
  for (const { position, bytes } of changesIn(changes)) {
    if (done === upTo) break;
    writeAll(target, bytes, position);
    done += 1;
  }
  closeSync(target);
  closeSync(changes);
  if (upTo === Number.POSITIVE_INFINITY) truncateSync(within(earlier), sizeBytes);
}

function withPages(bytes: Buffer, ...blocks: readonly number[]): Buffer {
  const changed = Buffer.from(bytes);
  for (const block of blocks) randomBytes(100).copy(changed, block * PAGE + 50);
  return changed;
}

describe('pages that a file had', () => {
  const versions = (): Buffer[] => {
    const first = randomBytes(400 * PAGE);
    const second = withPages(first, 0, 7, 8, 9, 399);
    const grown = Buffer.concat([withPages(second, 8, 100), randomBytes(20 * PAGE)]);
    const cut = withPages(grown.subarray(0, 300 * PAGE + 1000), 1, 299);
    const grownAgain = Buffer.concat([withPages(cut, 5), randomBytes(9 * PAGE)]);
    return [first, second, grown, cut, grownAgain];
  };

  test('each earlier version of a file is read back byte for byte, whatever was written over it, grown or cut', () => {
    const all = versions();
    writeFileSync(within('file'), all[0]!);
    for (let number = 1; number < all.length; number += 1) {
      const { copied } = compare('file', all[number]!, number);
      expect(copied).toMatchObject({
        sizeBytes: all[number]!.length,
        sha256: createHash('sha256').update(all[number]!).digest('hex'),
        compared: { how: 'delta', earlierSizeBytes: all[number - 1]!.length },
      });
      expect(existsSync(within(`whole-${number}`)), 'nothing is copied whole').toBe(false);
      expect(bytesOf('file').equals(all[number - 1]!), 'the earlier file is not touched by comparing').toBe(true);
      writeOver('file', number, all[number]!.length);
      expect(bytesOf('file').equals(all[number]!)).toBe(true);
      for (let older = 0; older < number; older += 1) {
        const deltas = Array.from({ length: number - older }, (_, index) => `${older + index + 1}.old`);
        for (const stepBytes of number === all.length - 1 ? [1024 * 1024, 5000] : [3 * PAGE])
          expect(layered('file', deltas, all[older]!.length, stepBytes).equals(all[older]!), `version ${older} of ${number}`).toBe(true);
      }
    }
  });

  test('an earlier version is the same before, in the middle of, and after the writing', () => {
    const [, before, after] = versions();
    writeFileSync(within('file'), before!);
    compare('file', after!, 1);
    for (const upTo of [0, 1, 2, Number.POSITIVE_INFINITY]) {
      writeOver('file', 1, after!.length, upTo);
      expect(layered('file', ['1.old'], before!.length).equals(before!), `after ${upTo} writes`).toBe(true);
    }
    truncateSync(within('file'), 10 * PAGE); // Far too short: what nobody kept is gone, and nothing is made up.
    expect(layered('file', ['1.old'], before!.length).length).toBeLessThan(before!.length);
  });

  test('where most of a file changed it is copied whole', () => {
    const earlier = randomBytes(200 * PAGE);
    writeFileSync(within('file'), earlier);
    const now = withPages(earlier, ...Array.from({ length: 101 }, (_, block) => block));
    expect(compare('file', now, 1).copied).toMatchObject({ compared: undefined, sizeBytes: now.length, writtenBytes: now.length });
    expect(bytesOf('whole-1').equals(now)).toBe(true);
  });
});

describe('a delta on the disk', () => {
  const write = (blocks: readonly number[]): void => {
    const file = openSync(within('delta'), 'w');
    const writer = createDeltaWriter(file);
    for (const block of blocks) writer.add(block, Buffer.alloc(PAGE, block % 251));
    writer.finish(123_456_789);
    closeSync(file);
  };

  test('gives its pages in any order, and says of which file they are', () => {
    const blocks = Array.from({ length: 100 }, (_, index) => index * 3 + (index > 50 ? 1 : 0));
    write(blocks);
    const delta = openDelta(Buffer.from(within('delta')));
    expect(delta).toMatchObject({ sizeBytes: 123_456_789, blocks });
    for (const block of [...blocks].reverse()) expect(delta.page(block)!.equals(Buffer.alloc(PAGE, block % 251))).toBe(true);
    expect(delta.page(2)).toBeUndefined();
    delta.close();
  });

  test.each([0, 1, 77, 78, 79, 200])('that has lost its last %d bytes and one is torn, and says so', (lost) => {
    write([1, 2, 3, 40]);
    truncateSync(within('delta'), bytesOf('delta').length - lost - 1);
    expect(() => openDelta(Buffer.from(within('delta')))).toThrow(expect.objectContaining({ code: 'data.corrupt' }) as Error);
  });

  test('with one byte changed anywhere never gives a page that is not what was written', () => {
    write([1, 2, 3, 40]);
    const whole = bytesOf('delta');
    for (let at = 0; at < whole.length; at += 1) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 0x10;
      writeFileSync(within('delta'), flipped);
      expect(() => {
        const delta = openDelta(Buffer.from(within('delta')));
        for (const block of delta.blocks) delta.page(block);
      }, `byte ${at}`).toThrow();
    }
  });

  test.each([
    ['R 0 9000000000000000'],
    ['R 0 40'],
    ['R -1 1'],
    ['R 0 1', 'F 100 x'],
    ['F 100000000000 x', 'R 0 1'],
    ['F -5 x', 'R 0 1', 'F 5 x', 'R 1 1'],
    ['F 5 5267c4dea8deb2c7d2ccc0e5c48b9b6d0ec3dee9bf6a6da0b3d6d4e9b9d6d0c1', 'R 0 1'],
  ])('that somebody has made up, with a hash that fits, is damaged: %j', (...lines) => {
    const junk = Buffer.from('bytes');
    const digest = createHash('sha256').update(junk).digest('hex');
    const body = `dbkit.pages/v1 8192 8192\n${lines.map((line) => `${line.replace(/[0-9a-f]{64}/, digest)}\n`).join('')}`;
    const length = body.length + 78;
    const header = Buffer.alloc(8);
    header.writeUInt32LE(0x184d2a5d, 0);
    header.writeUInt32LE(length, 4);
    const end = `E ${String(length).padStart(10, '0')} ${createHash('sha256').update(body).digest('hex')}\n`;
    writeFileSync(within('delta'), Buffer.concat([junk, header, Buffer.from(body + end)]));
    expect(() => {
      const delta = openDelta(Buffer.from(within('delta')));
      for (const block of delta.blocks) delta.page(block);
    }).toThrow(expect.objectContaining({ code: 'data.corrupt' }) as Error);
  });
});

test('what was put aside is read and written whole, however little the kernel does at once', async () => {
  const earlier = randomBytes(40 * PAGE);
  writeFileSync(within('file'), earlier);
  const now = withPages(earlier, 0, 7, 39);
  const little = (own: (...args: readonly unknown[]) => unknown, [file, bytes, at, length, position]: readonly unknown[]): unknown =>
    own(file, bytes, at, Math.ceil(Number(length) / 3), position);
  await withCalls({ readSync: little, writeSync: little }, () => {
    expect(compare('file', now, 1).copied).toMatchObject({ sizeBytes: now.length, compared: { changedPages: 3 } });
    writeOver('file', 1, now.length);
    expect(layered('file', ['1.old'], earlier.length).equals(earlier)).toBe(true);
  });
  expect(bytesOf('file').equals(now)).toBe(true);
});

test('only what differs is put aside to be written', () => {
  const before = Buffer.alloc(PAGE);
  const now = Buffer.from(before);
  now[0] = 1;
  now[20] = 1;
  now[5000] = 1;
  expect(rangesOf(now, before)).toEqual([
    [0, 24],
    [5000, 5004],
  ]);
  expect(rangesOf(now, before.subarray(0, 100))).toEqual([[0, PAGE]]);
});

const facts: StrategyFacts = {
  sizeBytes: 10_000_000,
  fromBytes: 2_000_000,
  hasEarlier: true,
  sharesBlocks: false,
  isGood: true,
  pinned: '',
  links: 2,
  ours: 2,
  knowsReaders: true,
  reader: '',
};

everyRow<StrategyId, StrategyFacts>('strategy', chooseStrategy, {
  'small-file': { ...facts, sizeBytes: 1_000_000 },
  'no-earlier-file': { ...facts, hasEarlier: false },
  'shares-blocks': { ...facts, sharesBlocks: true, pinned: 'data_20261120_195400' },
  'new-one-is-not-good': { ...facts, isGood: false },
  'pinned-one-has-it': { ...facts, pinned: 'data_20261120_195400' },
  'linked-elsewhere': { ...facts, links: 3 },
  'readers-not-known': { ...facts, knowsReaders: false },
  'earlier-one-is-read': { ...facts, reader: 'data_20261120_195400' },
  'earlier-keeps-its-pages': facts,
});

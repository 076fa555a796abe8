import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fromText } from '../../src/formats/byte-path.ts';
import { crc32c } from '../../src/formats/crc32c.ts';
import { twoPhaseFile, twoPhaseProblem } from '../../src/formats/two-phase.ts';
import { readWal } from '../../src/formats/wal-reader.ts';
import { findTip } from '../../src/formats/wal-tip.ts';

const SIZE = 1024 * 1024;
const cluster = { systemIdentifier: '77', segmentSizeBytes: SIZE };
const { signal } = new AbortController();

/** One page header, then records of the given lengths, each linked to the one before; the last may go on into the next segment. */
function segment(number: number, records: readonly { bytes: Buffer }[]): Buffer {
  const file = Buffer.alloc(SIZE);
  const body = Buffer.concat(records.map(({ bytes }) => bytes));
  for (let page = 0, from = 0; page < SIZE / 8192 && (from < body.length || page === 0); page += 1) {
    const header = page === 0 ? 40 : 24;
    const at = page * 8192;
    file.writeUInt16LE(0xd110, at);
    file.writeUInt16LE((page === 0 ? 0x0002 : 0) | (leftOf(records, from) > 0 ? 0x0001 : 0), at + 2);
    file.writeUInt32LE(1, at + 4);
    file.writeBigUInt64LE(BigInt(number * SIZE + at), at + 8);
    file.writeUInt32LE(leftOf(records, from), at + 16);
    if (page === 0) {
      file.writeBigUInt64LE(77n, at + 24);
      file.writeUInt32LE(SIZE, at + 32);
      file.writeUInt32LE(8192, at + 36);
    }
    body.copy(file, at + header, from, from + 8192 - header);
    from += 8192 - header;
  }
  return file;
}

/** How much of a record that began before `from` is left there. */
function leftOf(records: readonly { bytes: Buffer }[], from: number): number {
  let end = 0;
  for (const { bytes } of records) {
    const begun = end < from;
    end += bytes.length;
    if (end > from) return begun ? end - from : 0;
  }
  return 0;
}

function record(lengthBytes: number, previous: bigint): { bytes: Buffer } {
  const bytes = Buffer.alloc(lengthBytes, 7);
  bytes.writeUInt32LE(lengthBytes, 0);
  bytes.writeUInt32LE(0, 4);
  bytes.writeBigUInt64LE(previous, 8);
  bytes.writeUInt8(0x20, 16);
  bytes.writeUInt8(0, 17);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 20), crc32c(bytes.subarray(24))), 20);
  return { bytes };
}

/** Where a record begins that stands `offset` bytes behind the first one. */
const lsnAt = (number: number, offset: number): bigint => {
  const firstPage = 8192 - 40;
  const pages = offset < firstPage ? 0 : 1 + Math.floor((offset - firstPage) / (8192 - 24));
  return BigInt(number * SIZE + 40 + offset + pages * 24);
};

function run(number: number, count: number): { bytes: Buffer }[] {
  const records: { bytes: Buffer }[] = [];
  for (let index = 0; index < count; index += 1) records.push(record(104, index === 0 ? 0n : lsnAt(number, (index - 1) * 104)));
  return records;
}

async function folder(files: Readonly<Record<string, Buffer>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dbkit-wal-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const [name, body] of Object.entries(files)) await writeFile(join(directory, name), body);
  return directory;
}

const NAME = '000000010000000000000003';

test('the end of the WAL is found in the newest segment that is one, past recycled files', async () => {
  const directory = await folder({ [NAME]: segment(3, run(3, 500)), '000000010000000000000004': segment(1, run(1, 20)) });
  const tip = await findTip(fromText(directory), [NAME, '000000010000000000000004', 'archive_status'], cluster, undefined, signal);
  const last = lsnAt(3, 499 * 104);
  expect(tip).toMatchObject({ timeline: 1, segment: NAME, end: last + 104n, last: { lsn: last } });
});

test('there is no end where there is no WAL of this cluster', async () => {
  const directory = await folder({ [NAME]: segment(3, run(3, 5)) });
  expect(await findTip(fromText(directory), [NAME], { ...cluster, systemIdentifier: '78' }, undefined, signal)).toBeUndefined();
  expect(await findTip(fromText(directory), [], cluster, undefined, signal)).toBeUndefined();
});

test('a segment that is not there is told from WAL that ends by itself', async () => {
  const full = Math.floor((127 * (8192 - 24) + 8192 - 40) / 104);
  const directory = await folder({ [NAME]: segment(3, run(3, full)) });
  const identity = { ...cluster, timeline: 1 };
  const start = BigInt(3 * SIZE + 40);
  const cut = await readWal(fromText(directory), identity, start, signal);
  expect(cut).toMatchObject({ missing: false, broken: false });
  await writeFile(join(directory, NAME), segment(3, [...run(3, full), record(104, lsnAt(3, (full - 1) * 104))]));
  expect(await readWal(fromText(directory), identity, start, signal)).toMatchObject({ missing: true, broken: false, end: cut.end });
});

test('a segment that is cut is broken, not ended', async () => {
  const directory = await folder({ [NAME]: segment(3, run(3, 500)) });
  await truncate(join(directory, NAME), 16_384);
  expect(await readWal(fromText(directory), { ...cluster, timeline: 1 }, BigInt(3 * SIZE + 40), signal)).toMatchObject({ broken: true });
});

test('the record of a PREPARE is a state file but for its checksum', () => {
  const data = Buffer.alloc(120);
  data.writeUInt32LE(0x57f94534, 0);
  data.writeUInt32LE(124, 4);
  data.writeUInt32LE(742, 8);
  const file = twoPhaseFile(data)!;
  expect(file.xid).toBe(742);
  expect(twoPhaseProblem(file.bytes)).toBeUndefined();
  file.bytes[60] = 1;
  expect(twoPhaseProblem(file.bytes)).toMatch(/checksum/);
  expect(twoPhaseProblem(file.bytes.subarray(0, 100))).toMatch(/size 100, expected 124/);
  expect(twoPhaseFile(Buffer.alloc(120))).toBeUndefined();
});

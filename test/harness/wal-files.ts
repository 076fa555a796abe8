import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { crc32c } from '../../src/formats/crc32c.ts';

/** WAL made by hand, in segments of 1 MiB, of a cluster whose system identifier is 77. */
export const SIZE = 1024 * 1024;
export const cluster = { systemIdentifier: '77', segmentSizeBytes: SIZE };

/** Of which length, after which record, and what it says: by default nothing that anybody asks for. */
export interface Told {
  readonly manager?: number;
  readonly info?: number;
  readonly data?: Buffer;
}

/** One page header, then records of the given lengths, each linked to the one before; the last may go on into the next segment. */
export function segment(number: number, records: readonly { bytes: Buffer }[]): Buffer {
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

export function record(lengthBytes: number, previous: bigint, { manager = 0, info = 0x20, data }: Told = {}): { bytes: Buffer } {
  const bytes = Buffer.alloc(lengthBytes, 7);
  bytes.writeUInt32LE(lengthBytes, 0);
  bytes.writeUInt32LE(0, 4);
  bytes.writeBigUInt64LE(previous, 8);
  bytes.writeUInt8(info, 16);
  bytes.writeUInt8(manager, 17);
  if (data) {
    bytes.writeUInt8(255, 24); // XLR_BLOCK_ID_DATA_SHORT, and how much follows.
    bytes.writeUInt8(lengthBytes - 26, 25);
    data.copy(bytes, 26);
  }
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 20), crc32c(bytes.subarray(24))), 20);
  return { bytes };
}

/** Where a record begins that stands `offset` bytes behind the first one. */
export const lsnAt = (number: number, offset: number): bigint => {
  const firstPage = 8192 - 40;
  const pages = offset < firstPage ? 0 : 1 + Math.floor((offset - firstPage) / (8192 - 24));
  return BigInt(number * SIZE + 40 + offset + pages * 24);
};

/** Records of 104 bytes that follow each other from the segment's beginning; `tell` says what the one of an index says. */
export function run(number: number, count: number, tell: (index: number) => Told | undefined = () => undefined): { bytes: Buffer }[] {
  const records: { bytes: Buffer }[] = [];
  for (let index = 0; index < count; index += 1)
    records.push(record(104, index === 0 ? 0n : lsnAt(number, (index - 1) * 104), tell(index)));
  return records;
}

/** How many such records a segment holds. */
export const FULL = Math.floor((127 * (8192 - 24) + 8192 - 40) / 104);

/** A folder of segments, gone when the test ends. */
export async function walFolder(files: Readonly<Record<string, Buffer>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dbkit-wal-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const [name, body] of Object.entries(files)) await writeFile(join(directory, name), body);
  return directory;
}

import { crcOffsets, parseControlFile } from './control-file.ts';
import { crc32c } from './crc32c.ts';
import { LONG_HEADER_BYTES, parseSegmentName, segmentName, segmentOf } from './wal-segment.ts';

const CHECKPOINT_AT = 40; // ControlFileData.checkPointCopy
const CHECKPOINT_BYTES = 88; // sizeof(CheckPoint), the same from 13 to 18
const RECORD_HEADER_BYTES = 24; // SizeOfXLogRecord
const DATA_HEADER_BYTES = 2; // XLR_BLOCK_ID_DATA_SHORT and the length
const XLR_BLOCK_ID_DATA_SHORT = 255;
const XLOG_CHECKPOINT_SHUTDOWN = 0x00;
const XLP_LONG_HEADER = 0x0002;
const DB_SHUTDOWNED = 1;
const WAL_PAGE_BYTES = 8192;
/** XLOG_PAGE_MAGIC of each major (src/include/access/xlog_internal.h). */
const pageMagics: Readonly<Record<number, number>> = { 13: 0xd106, 14: 0xd10d, 15: 0xd110, 16: 0xd113, 17: 0xd116, 18: 0xd118 };

export interface FreshWal {
  readonly control: Buffer;
  readonly segmentName: string;
  readonly segment: Buffer;
}

/**
 * New WAL for a cluster that was shut down cleanly, as pg_resetwal makes it (src/bin/pg_resetwal/pg_resetwal.c): a control file that points
 * to one shutdown checkpoint record in a new segment, numbered past every segment there ever was. Nothing else of the control file changes.
 * Throws when the control file is damaged or not of a clean shutdown: then the WAL is owed, and this would lose rows.
 */
export function resetWal(controlBytes: Buffer, segmentNames: readonly string[]): FreshWal {
  const parsed = parseControlFile(controlBytes);
  if ('problem' in parsed) throw new Error(`pg_control: ${parsed.problem}`);
  const { control } = parsed;
  if (control.state !== 'shut down') throw new Error(`the cluster is ${control.state}, not shut down`);
  const size = control.walSegmentSizeBytes;
  const known = segmentNames.map((name) => parseSegmentName(name, size)?.segment ?? 0n);
  const newest = [segmentOf(control.checkpointLsn, size), ...known].sort((a, b) => Number(b - a))[0]!;
  const segmentNumber = newest + 1n;
  const redo = segmentNumber * BigInt(size) + BigInt(LONG_HEADER_BYTES);

  const fresh = Buffer.from(controlBytes);
  fresh.writeBigUInt64LE(redo, 32);
  fresh.writeBigUInt64LE(redo, CHECKPOINT_AT);
  fresh.writeInt32LE(DB_SHUTDOWNED, 16);
  const crcAt = crcOffsets[fresh.readUInt32LE(8)]!;
  fresh.writeUInt32LE(crc32c(fresh.subarray(0, crcAt)), crcAt);

  const segment = Buffer.alloc(size);
  writePageHeader(segment, control, segmentNumber * BigInt(size));
  writeCheckpointRecord(segment, fresh.subarray(CHECKPOINT_AT, CHECKPOINT_AT + CHECKPOINT_BYTES));
  return { control: fresh, segmentName: segmentName(control.timeline, segmentNumber, size), segment };
}

/** XLogLongPageHeaderData. */
function writePageHeader(
  segment: Buffer,
  control: { major: number; timeline: number; systemIdentifier: string; walSegmentSizeBytes: number },
  address: bigint,
): void {
  segment.writeUInt16LE(pageMagics[control.major]!, 0);
  segment.writeUInt16LE(XLP_LONG_HEADER, 2);
  segment.writeUInt32LE(control.timeline, 4);
  segment.writeBigUInt64LE(address, 8);
  segment.writeBigUInt64LE(BigInt(control.systemIdentifier), 24);
  segment.writeUInt32LE(control.walSegmentSizeBytes, 32);
  segment.writeUInt32LE(WAL_PAGE_BYTES, 36);
}

/** XLogRecord with the checkpoint as its short main data; the checksum covers the data first, then the header up to itself. */
function writeCheckpointRecord(segment: Buffer, checkpoint: Buffer): void {
  const record = segment.subarray(LONG_HEADER_BYTES, LONG_HEADER_BYTES + RECORD_HEADER_BYTES + DATA_HEADER_BYTES + CHECKPOINT_BYTES);
  record.writeUInt32LE(record.length, 0);
  record.writeUInt8(XLOG_CHECKPOINT_SHUTDOWN, 16); // RM_XLOG_ID is 0, as are the transaction and the previous record.
  record.writeUInt8(XLR_BLOCK_ID_DATA_SHORT, RECORD_HEADER_BYTES);
  record.writeUInt8(CHECKPOINT_BYTES, RECORD_HEADER_BYTES + 1);
  checkpoint.copy(record, RECORD_HEADER_BYTES + DATA_HEADER_BYTES);
  record.writeUInt32LE(crc32c(record.subarray(0, 20), crc32c(record.subarray(RECORD_HEADER_BYTES))), 20);
}

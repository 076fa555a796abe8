import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What the tests need of pg_control, read without dbkit's own parser (src/include/catalog/pg_control.h, the same in 13 to 18). */
export interface ControlFacts {
  readonly state: number;
  readonly checkpoint: bigint;
  readonly timeline: number;
  /** The name of the WAL segment that holds the last checkpoint. */
  readonly checkpointSegment: string;
}

export const controlStates = { shutDown: 1, inCrashRecovery: 4, inProduction: 6 } as const;
const SEGMENT_BYTES = 16n * 1024n * 1024n;
const at = { state: 16, checkpoint: 32, timeline: 48 } as const;

export async function readControl(dataDir: string): Promise<ControlFacts> {
  const bytes = await readFile(join(dataDir, 'global/pg_control'));
  const checkpoint = bytes.readBigUInt64LE(at.checkpoint);
  const timeline = bytes.readUInt32LE(at.timeline);
  return { state: bytes.readUInt32LE(at.state), checkpoint, timeline, checkpointSegment: segmentName(timeline, checkpoint) };
}

/** src/include/access/xlog_internal.h, XLogFileName, for the default segment size. */
export function segmentName(timeline: number, lsn: bigint): string {
  const number = lsn / SEGMENT_BYTES;
  const perFile = 0x1_0000_0000n / SEGMENT_BYTES;
  return [BigInt(timeline), number / perFile, number % perFile].map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('');
}

/** Where in its segment an LSN is, in bytes. */
export const offsetInSegment = (lsn: bigint): number => Number(lsn % SEGMENT_BYTES);

/** A pg_control of another cluster: its checksum is right, its system identifier is not this one's. */
export const writeForeignControl = ({ dataDir }: { readonly dataDir: string }): Promise<void> =>
  changeControl(dataDir, (bytes) => bytes.writeBigUInt64LE(bytes.readBigUInt64LE(0) + 1n, 0));

/** Makes pg_control say another state, with a checksum that is right. */
export const writeControlState = (dataDir: string, state: number): Promise<void> =>
  changeControl(dataDir, (bytes) => bytes.writeUInt32LE(state, at.state));

async function changeControl(dataDir: string, change: (bytes: Buffer) => void): Promise<void> {
  const path = join(dataDir, 'global/pg_control');
  const bytes = await readFile(path);
  const checksumAt = checksumOffset(bytes);
  change(bytes);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, checksumAt)), checksumAt);
  await writeFile(path, bytes);
}

/** The checksum covers everything before it; where it stands depends on the version, and only there does it fit. */
function checksumOffset(bytes: Buffer): number {
  for (let offset = 200; offset < 512; offset += 4) {
    if (bytes.readUInt32LE(offset) === crc32c(bytes.subarray(0, offset))) return offset;
  }
  throw new Error('pg_control has no valid checksum');
}

/** CRC-32C (Castagnoli), as src/port/pg_crc32c_sb8.c computes it. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

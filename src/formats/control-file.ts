import { crc32c } from './crc32c.ts';
import type { Lsn } from './wal-segment.ts';

/** The fields of pg_control (src/include/catalog/pg_control.h, ControlFileData), of majors 13 to 18. */
export interface ControlFile {
  readonly major: number;
  readonly systemIdentifier: string;
  readonly catalogVersion: number;
  /** PostgreSQL's own words: 'shut down', 'in production', … */
  readonly state: string;
  readonly checkpointLsn: Lsn;
  readonly redoLsn: Lsn;
  readonly timeline: number;
  readonly nextXid: bigint;
  readonly oldestXid: number;
  /** The oldest transaction that was running at the checkpoint; 0 where that was not noted. */
  readonly oldestActiveXid: number;
  readonly nextOid: number;
  readonly nextMulti: number;
  readonly nextMultiOffset: number;
  readonly oldestMulti: number;
  readonly blockSizeBytes: number;
  readonly blocksPerSegment: number;
  readonly walSegmentSizeBytes: number;
  readonly checksums: boolean;
  readonly settings: {
    readonly maxConnections: number;
    readonly maxWorkerProcesses: number;
    readonly maxWalSenders: number;
    readonly maxPreparedXacts: number;
    readonly maxLocksPerXact: number;
  };
}

export const CONTROL_FILE_BYTES = 8192; // PG_CONTROL_FILE_SIZE: the rest is zeros.

const DATA_CHECKSUM_VERSION_AT = 252; // ControlFileData.data_checksum_version

/** The same control file, of a cluster whose pages bear checksums. */
export function withChecksums(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeUInt32LE(1, DATA_CHECKSUM_VERSION_AT);
  const crcAt = crcOffsets[changed.readUInt32LE(8)]!;
  changed.writeUInt32LE(crc32c(changed.subarray(0, crcAt)), crcAt);
  return changed;
}

const STATE_AT = 16; // ControlFileData.state

/** The same control file, of a server that was not shut down: the next one replays the WAL from its checkpoint on. */
export function inProduction(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeInt32LE(states.indexOf('in production'), STATE_AT);
  const crcAt = crcOffsets[changed.readUInt32LE(8)]!;
  changed.writeUInt32LE(crc32c(changed.subarray(0, crcAt)), crcAt);
  return changed;
}

/** Where the checksum stands: right behind the last field, and 18 has one more (default_char_signedness). */
export const crcOffsets: Readonly<Record<number, number>> = { 1300: 288, 1700: 288, 1800: 292 };
/** All that the server reads of both is the same: behind the checksum the file is filled up with zeroes that nobody looks at. */
export function isSameControl(a: Buffer, b: Buffer): boolean {
  const crcAt = a.length > 12 ? crcOffsets[a.readUInt32LE(8)] : undefined;
  if (crcAt === undefined) return a.equals(b);
  return a.subarray(0, crcAt + 4).equals(b.subarray(0, crcAt + 4));
}

/** Majors 13 to 16 share a control version; their catalogs tell them apart. The first catalog version of each released major. */
const catalogMajors: readonly (readonly [from: number, major: number])[] = [
  [202506291, 18],
  [202406281, 17],
  [202307071, 16],
  [202209061, 15],
  [202107181, 14],
  [202007201, 13],
];

/** DBState (pg_control.h) in the words of pg_controldata. */
export const states = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const;
const MIB = 1024 * 1024;
const isPowerOfTwo = (value: number, min: number, max: number): boolean => value >= min && value <= max && (value & (value - 1)) === 0;
const FLOAT_FORMAT = 1_234_567; // FLOATFORMAT_VALUE: another byte order or float format reads as something else.

/**
 * The control file's content, or what is wrong with it, in words. 'damaged': its bytes are not what a server wrote; 'foreign': they are, but
 * of another major version or machine.
 */
export type ReadControl =
  | { readonly control: ControlFile }
  | { readonly problem: string; readonly why: 'missing' | 'damaged' | 'foreign' | 'unreadable' };
const damaged = (problem: string): ReadControl => ({ problem, why: 'damaged' });
const foreign = (problem: string): ReadControl => ({ problem, why: 'foreign' });

export function parseControlFile(bytes: Buffer): ReadControl {
  if (bytes.length < CONTROL_FILE_BYTES) return damaged(`size ${bytes.length}, expected ${CONTROL_FILE_BYTES}`);
  const version = bytes.readUInt32LE(8);
  const crcAt = crcOffsets[version];
  if (crcAt === undefined) {
    const problem = version === 0 ? 'it holds zeros' : `control version ${version} is not one of PostgreSQL 13 to 18`;
    return isWholeSomewhere(bytes) ? foreign(problem) : damaged(problem);
  }
  const [stored, computed] = [bytes.readUInt32LE(crcAt), crc32c(bytes.subarray(0, crcAt))];
  if (stored !== computed) return damaged(`its checksum is ${computed.toString(16)}, expected ${stored.toString(16)}`);
  if (bytes.readDoubleLE(208) !== FLOAT_FORMAT) return foreign('it was written by another processor architecture');
  const catalogVersion = bytes.readUInt32LE(12);
  const state = states[bytes.readInt32LE(16)];
  if (state === undefined) return damaged(`its state is ${bytes.readInt32LE(16)}, which means nothing`);
  const u32 = (at: number): number => bytes.readUInt32LE(at);
  if (!isPowerOfTwo(u32(228), MIB, 1024 * MIB)) return damaged(`its WAL segments have ${u32(228)} bytes, which cannot be`);
  if (!isPowerOfTwo(u32(216), 1024, 32_768) || u32(220) === 0) return damaged(`its blocks have ${u32(216)} bytes, which cannot be`);
  return {
    control: {
      major: catalogMajors.find(([from]) => catalogVersion >= from)?.[1] ?? 13,
      systemIdentifier: bytes.readBigUInt64LE(0).toString(),
      catalogVersion,
      state,
      checkpointLsn: bytes.readBigUInt64LE(32),
      redoLsn: bytes.readBigUInt64LE(40),
      timeline: u32(48),
      nextXid: bytes.readBigUInt64LE(64),
      nextOid: u32(72),
      nextMulti: u32(76),
      nextMultiOffset: u32(80),
      oldestXid: u32(84),
      oldestMulti: u32(92),
      oldestActiveXid: u32(120),
      blockSizeBytes: u32(216),
      blocksPerSegment: u32(220),
      walSegmentSizeBytes: u32(228),
      checksums: u32(DATA_CHECKSUM_VERSION_AT) !== 0,
      settings: {
        maxConnections: u32(180),
        maxWorkerProcesses: u32(184),
        maxWalSenders: u32(188),
        maxPreparedXacts: u32(192),
        maxLocksPerXact: u32(196),
      },
    },
  };
}

/**
 * A checksum that is right wherever a version may have put it, in either byte order, tells a control file of a version that dbkit does not
 * know from a damaged one: every version since 9.5 ends with its CRC-32C.
 */
function isWholeSomewhere(bytes: Buffer): boolean {
  let [crc, from] = [0, 0];
  for (let at = 200; at <= 508; at += 4) {
    crc = crc32c(bytes.subarray(from, at), crc);
    from = at;
    if (crc !== 0 && (bytes.readUInt32LE(at) === crc || bytes.readUInt32BE(at) === crc)) return true;
  }
  return false;
}

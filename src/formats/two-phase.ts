import { crc32c } from './crc32c.ts';

/** TWOPHASE_MAGIC of 10 to 18 (src/backend/access/transam/twophase.c). */
const MAGIC = 0x57f94534;
const CRC_BYTES = 4;
const HEADER_BYTES_MIN = 16; // TwoPhaseFileHeader begins with magic, total_len, xid, database.

/** Undefined where the state file of a prepared transaction is what the server wrote: its magic, its own length, and the CRC-32C at its end. */
export function twoPhaseProblem(bytes: Buffer): string | undefined {
  if (bytes.length < HEADER_BYTES_MIN + CRC_BYTES) return `size ${bytes.length}, less than its header`;
  if (bytes.readUInt32LE(0) !== MAGIC) return 'it does not begin as such a file does';
  if (bytes.readUInt32LE(4) !== bytes.length) return `size ${bytes.length}, expected ${bytes.readUInt32LE(4)}`;
  const [stored, computed] = [bytes.readUInt32LE(bytes.length - CRC_BYTES), crc32c(bytes.subarray(0, bytes.length - CRC_BYTES))];
  return stored === computed ? undefined : `its checksum is ${computed.toString(16)}, expected ${stored.toString(16)}`;
}

/** The state file that a checkpoint would write for a PREPARE record's data (EndPrepare, RecreateTwoPhaseFile); undefined for other data. */
export function twoPhaseFile(prepare: Buffer): { readonly xid: number; readonly bytes: Buffer } | undefined {
  if (prepare.length < HEADER_BYTES_MIN || prepare.readUInt32LE(0) !== MAGIC) return undefined;
  const bytes = Buffer.alloc(prepare.length + CRC_BYTES);
  prepare.copy(bytes);
  bytes.writeUInt32LE(crc32c(prepare), prepare.length);
  return twoPhaseProblem(bytes) === undefined ? { xid: prepare.readUInt32LE(8), bytes } : undefined;
}

import { crc32c } from './crc32c.ts';

const MAGIC = 0x592717; // RELMAPPER_FILEMAGIC (src/backend/utils/cache/relmapper.c)
const HEADER_BYTES = 8;
const MAPPING_BYTES = 8;
/** 62 mappings in a file of 512 bytes up to 15; 64 in 524 bytes from 16 on. */
const layouts = [
  { sizeBytes: 512, crcAt: 504, mappingsMax: 62 },
  { sizeBytes: 524, crcAt: 520, mappingsMax: 64 },
] as const;

/** Catalog oid → the number of the file that holds it now; or what is wrong with the map, in words. */
export function parseFilenodeMap(bytes: Buffer): { readonly files: ReadonlyMap<number, number> } | { readonly problem: string } {
  const layout = layouts.find(({ sizeBytes }) => sizeBytes === bytes.length);
  if (!layout) return { problem: `size ${bytes.length}, expected 512 or 524` };
  if (bytes.readUInt32LE(0) !== MAGIC)
    return { problem: `magic number ${bytes.readUInt32LE(0).toString(16)}, expected ${MAGIC.toString(16)}` };
  const count = bytes.readInt32LE(4);
  if (count < 0 || count > layout.mappingsMax) return { problem: `${count} mappings, at most ${layout.mappingsMax} fit` };
  const [stored, computed] = [bytes.readUInt32LE(layout.crcAt), crc32c(bytes.subarray(0, layout.crcAt))];
  if (stored !== computed) return { problem: `its checksum is ${computed.toString(16)}, expected ${stored.toString(16)}` };
  const files = new Map<number, number>();
  for (let at = HEADER_BYTES; at < HEADER_BYTES + count * MAPPING_BYTES; at += MAPPING_BYTES)
    files.set(bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4));
  return { files };
}

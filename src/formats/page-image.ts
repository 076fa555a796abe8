import { WAL_PAGE_BYTES } from './wal-segment.ts';

/** How the page in a record is packed (xlogrecord.h, BKPIMAGE_COMPRESSED until 14, _PGLZ, _LZ4 and _ZSTD since 15). */
export type ImagePacking = 'none' | 'pglz' | 'lz4' | 'zstd';

export interface PageImage {
  readonly bytes: Buffer;
  readonly packing: ImagePacking;
  /** The free space between the line pointers and the tuples is left out. */
  readonly holeOffset: number;
  readonly holeBytes: number;
}

/** The page of 8 KiB; undefined where it cannot be unpacked here. */
export function pageOf({ bytes, packing, holeOffset, holeBytes }: PageImage): Buffer | undefined {
  const length = WAL_PAGE_BYTES - holeBytes;
  const unpack = { none: () => bytes, pglz: () => unpackPglz(bytes, length), lz4: () => unpackLz4(bytes, length), zstd: () => undefined };
  const packed = unpack[packing]();
  if (packed?.length !== length || holeOffset > length) return undefined;
  const page = Buffer.alloc(WAL_PAGE_BYTES);
  packed.copy(page, 0, 0, holeOffset);
  packed.copy(page, holeOffset + holeBytes, holeOffset);
  return page;
}

/** PostgreSQL's own compression (pg_lzcompress.c): a control byte, then eight literals or references back. Undefined for what is none. */
export function unpackPglz(source: Buffer, lengthBytes: number): Buffer | undefined {
  const target = Buffer.alloc(lengthBytes);
  let [from, to] = [0, 0];
  while (from < source.length && to < lengthBytes) {
    let control = source[from++]!;
    for (let bit = 0; bit < 8 && from < source.length && to < lengthBytes; bit += 1, control >>= 1) {
      if ((control & 1) === 0) {
        target[to++] = source[from++]!;
        continue;
      }
      let length = (source[from]! & 0x0f) + 3;
      const back = ((source[from]! & 0xf0) << 4) | (source[from + 1] ?? 0);
      from += 2;
      if (length === 18) length += source[from++] ?? 0;
      if (back === 0 || back > to) return undefined;
      to = repeat(target, to, back, length);
    }
  }
  return to === lengthBytes ? target : undefined;
}

/** A block of LZ4 (lz4_Block_format.md). Undefined for what is none. */
export function unpackLz4(source: Buffer, lengthBytes: number): Buffer | undefined {
  const target = Buffer.alloc(lengthBytes);
  let [from, to] = [0, 0];
  const more = (start: number): number => {
    let length = start;
    if (start === 15) for (let next = 255; next === 255 && from < source.length; length += next) next = source[from++]!;
    return length;
  };
  while (from < source.length) {
    const token = source[from++]!;
    const literals = more(token >> 4);
    if (from + literals > source.length || to + literals > lengthBytes) return undefined;
    source.copy(target, to, from, from + literals);
    [from, to] = [from + literals, to + literals];
    if (from >= source.length) break; // The last sequence is literals only.
    if (from + 2 > source.length) return undefined;
    const back = source.readUInt16LE(from);
    from += 2;
    const length = more(token & 0x0f) + 4;
    if (back === 0 || back > to) return undefined;
    to = repeat(target, to, back, length);
  }
  return to === lengthBytes ? target : undefined;
}

/** Byte by byte: what is repeated may overlap what it makes. */
function repeat(target: Buffer, at: number, back: number, length: number): number {
  const end = Math.min(at + length, target.length);
  for (let to = at; to < end; to += 1) target[to] = target[to - back]!;
  return end;
}

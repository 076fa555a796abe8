/**
 * zstd (RFC 8878): one frame for each piece, as zstd(1) reads and writes them. By node:zlib where Node has it (22.15), else by WebAssembly, which is
 * loaded with the first piece.
 */
export interface Zstd {
  compress(plain: Uint8Array): Promise<Buffer>;
  /** Rejects for what is no frame, and for more than `plainBytesMax`. */
  decompress(packed: Uint8Array, plainBytesMax: number): Promise<Buffer>;
}

/** WAL: 8 times smaller at 156 MB/s; higher levels take three times as long for a tenth less. */
const LEVEL = 1;
const COMPRESSION_LEVEL_PARAMETER = 100; // zstd.h, ZSTD_c_compressionLevel.

/** The same for threads whose work waits for nothing. */
export interface ZstdSync {
  compress(plain: Uint8Array): Buffer;
  /** Throws for what is no frame, and for more than `plainBytesMax`. */
  decompress(packed: Uint8Array, plainBytesMax: number): Buffer;
}

type Done = (cause: Error | null, result: Buffer) => void;

/** Functions that Node has from 22.15 on beside what its older types know. */
interface ZstdOfNode {
  zstdCompress?(plain: Uint8Array, options: { params: Record<number, number>; pledgedSrcSize: number }, done: Done): void;
  zstdDecompress?(packed: Uint8Array, options: { maxOutputLength: number }, done: Done): void;
  zstdCompressSync?(plain: Uint8Array, options: { params: Record<number, number>; pledgedSrcSize: number }): Buffer;
  zstdDecompressSync?(packed: Uint8Array, options: { maxOutputLength: number }): Buffer;
}

let loading: Promise<Zstd> | undefined;

/** The one of this Node. */
export function zstd(): Promise<Zstd> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Zstd> {
  const { zstdCompress, zstdDecompress } = (await import('node:zlib')).default as object as ZstdOfNode;
  if (zstdCompress === undefined || zstdDecompress === undefined) return loadWebAssembly();
  const params = { [COMPRESSION_LEVEL_PARAMETER]: LEVEL };
  return {
    compress: (plain) => promised((done) => zstdCompress(plain, { params, pledgedSrcSize: plain.length }, done)),
    decompress: (packed, plainBytesMax) => promised((done) => zstdDecompress(packed, { maxOutputLength: plainBytesMax }, done)),
  };
}

const promised = (start: (done: Done) => void): Promise<Buffer> =>
  new Promise((resolve, reject) => start((cause, result) => (cause === null ? resolve(result) : reject(cause))));

let begun: Promise<void> | undefined;

/** For Node 20. It works on the thread that asks. */
export async function loadWebAssembly(): Promise<Zstd> {
  const { compress, decompress } = await loadWebAssemblySync();
  return {
    compress: async (plain) => compress(plain),
    decompress: async (packed, plainBytesMax) => decompress(packed, plainBytesMax),
  };
}

let loaded: ZstdSync | undefined;

/** Loads it for this thread; after that `loadedZstd` has it. */
export async function loadZstdSync(): Promise<ZstdSync> {
  if (loaded !== undefined) return loaded;
  const { zstdCompressSync, zstdDecompressSync } = (await import('node:zlib')).default as object as ZstdOfNode;
  const params = { [COMPRESSION_LEVEL_PARAMETER]: LEVEL };
  loaded =
    zstdCompressSync === undefined || zstdDecompressSync === undefined
      ? await loadWebAssemblySync()
      : {
          compress: (plain) => zstdCompressSync(plain, { params, pledgedSrcSize: plain.length }),
          decompress: (packed, plainBytesMax) => zstdDecompressSync(packed, { maxOutputLength: plainBytesMax }),
        };
  return loaded;
}

/** The one that this thread has loaded. Throws where it has not. */
export function loadedZstd(): ZstdSync {
  if (loaded === undefined) throw new Error('zstd is not loaded on this thread');
  return loaded;
}

async function loadWebAssemblySync(): Promise<ZstdSync> {
  const { init, compress, decompress } = (await import('@bokuweb/zstd-wasm')).default;
  begun ??= init(); // Once: a second time would give it another memory.
  await begun;
  return {
    compress: (plain) => asBuffer(compress(plain, LEVEL)),
    decompress(packed, plainBytesMax) {
      const claimed = contentBytes(packed);
      if (claimed !== undefined && claimed > plainBytesMax)
        throw new RangeError(`a frame of ${claimed} bytes, and at most ${plainBytesMax} fit`);
      return asBuffer(decompress(packed, { defaultHeapSize: plainBytesMax }));
    },
  };
}

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength);

const MAGIC = 0xfd2fb528;

/** How much the frame says that it holds (RFC 8878, 3.1.1.1); undefined where it does not say. Throws for what is no frame. */
export function contentBytes(packed: Uint8Array): number | undefined {
  const frame = asBuffer(packed);
  if (frame.length < 6 || frame.readUInt32LE(0) !== MAGIC) throw new RangeError('no zstd frame');
  const descriptor = frame.readUInt8(4);
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  const at = 5 + (isSingle ? 0 : 1) + dictionary;
  const width = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  if (frame.length < at + width) throw new RangeError('a zstd frame that is cut off');
  if (width === 0) return undefined;
  if (width === 8) return Number(frame.readBigUInt64LE(at));
  return frame.readUIntLE(at, width) + (width === 2 ? 256 : 0);
}

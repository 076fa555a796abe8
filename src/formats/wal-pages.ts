import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { unlessMissing } from '../kernel/errors.ts';
import { type BytePath, fromText, join, toBytes } from './byte-path.ts';
import {
  LONG_HEADER_BYTES,
  type Lsn,
  SHORT_HEADER_BYTES,
  segmentName,
  segmentOf,
  WAL_PAGE_BYTES,
  type WalIdentity,
} from './wal-segment.ts';

export const PAGE = BigInt(WAL_PAGE_BYTES);

/** The plain bytes of a segment, or as many as there are of it; undefined where it is not there. */
export type SegmentBytes = (segment: bigint) => Promise<Buffer | undefined>;

/** A folder of segments, several of which the first that holds one counts, or whoever has them elsewhere. */
export type WalSource = BytePath | readonly BytePath[] | SegmentBytes;

/** Pages of WAL by their address, wherever the segment files are. */
export interface Pages {
  /** The page that begins at `address`; undefined when it does not hold what belongs there. */
  at(address: Lsn): Promise<Buffer | undefined>;
  /** True if the segment of `address` is there, and too short to hold the page that begins at it. */
  isCutBefore(address: Lsn): Promise<boolean>;
  /** True if the last page that was asked for before the end had no segment to be in. */
  lacked(): boolean;
  close(): Promise<void>;
}

const WINDOW_BYTES = 1024 * 1024;
/** Where one record is enough, a megabyte would be read for nothing. */
const FIRST_WINDOW_BYTES = 64 * 1024;

/** Pages of consecutive segments. */
export function openPages(source: WalSource, identity: WalIdentity): Pages {
  if (typeof source === 'function') return pagesInMemory(source, identity);
  return pagesOfFiles(typeof source === 'string' ? [source] : source, identity);
}

/** The page that belongs at `address`; undefined for what is none, or of another run of WAL. */
function belongs(page: Buffer, address: Lsn, timeline: number): Buffer | undefined {
  if (page.length < WAL_PAGE_BYTES || (page.readUInt16LE(0) & 0xff00) !== 0xd100) return undefined;
  return page.readBigUInt64LE(8) === address && page.readUInt32LE(4) <= timeline ? page : undefined;
}

function pagesInMemory(read: SegmentBytes, { timeline, segmentSizeBytes }: WalIdentity): Pages {
  let held: { readonly segment: bigint; readonly bytes: Buffer | undefined } | undefined;
  const bytesOf = async (address: Lsn): Promise<Buffer | undefined> => {
    const segment = segmentOf(address, segmentSizeBytes);
    if (held?.segment !== segment) held = { segment, bytes: await read(segment) };
    return held.bytes;
  };
  const offsetOf = (address: Lsn): number => Number(address % BigInt(segmentSizeBytes));
  return {
    async at(address) {
      const offset = offsetOf(address);
      const page = (await bytesOf(address))?.subarray(offset, offset + WAL_PAGE_BYTES);
      return page && belongs(page, address, timeline);
    },
    async isCutBefore(address) {
      const bytes = await bytesOf(address);
      return bytes !== undefined && bytes.length < offsetOf(address) + WAL_PAGE_BYTES;
    },
    lacked: () => held !== undefined && held.bytes === undefined,
    close: async () => undefined,
  };
}

/** Read a window at a time. */
function pagesOfFiles(directories: readonly BytePath[], { timeline, segmentSizeBytes }: WalIdentity): Pages {
  let file: { readonly handle: FileHandle; readonly segment: bigint } | undefined;
  let window: { readonly from: Lsn; readonly bytes: Buffer } | undefined;
  let buffer = Buffer.allocUnsafe(FIRST_WINDOW_BYTES); // One for all windows: records are put together as copies.
  let loads = 0;
  let lacks = false;
  const candidates = (segment: bigint): Buffer[] =>
    directories.map((directory) => toBytes(join(directory, fromText(segmentName(timeline, segment, segmentSizeBytes)))));

  async function load(address: Lsn): Promise<void> {
    const segment = segmentOf(address, segmentSizeBytes);
    window = undefined;
    if (file?.segment !== segment) {
      await file?.handle.close();
      file = undefined;
      const handle = await openFirst(candidates(segment));
      lacks = handle === undefined;
      if (!handle) return;
      file = { handle, segment };
    }
    const offset = Number(address % BigInt(segmentSizeBytes));
    if (loads === 1) buffer = Buffer.allocUnsafe(WINDOW_BYTES);
    loads += 1;
    const length = Math.min(buffer.length, segmentSizeBytes - offset);
    const { bytesRead } = await file.handle.read(buffer, 0, length, offset);
    window = { from: address, bytes: buffer.subarray(0, bytesRead) };
  }

  return {
    async at(address) {
      const held = window && address >= window.from && address + PAGE <= window.from + BigInt(window.bytes.length);
      if (!held) await load(address);
      if (!window) return undefined;
      const offset = Number(address - window.from);
      return belongs(window.bytes.subarray(offset, offset + WAL_PAGE_BYTES), address, timeline);
    },
    async isCutBefore(address) {
      for (const path of candidates(segmentOf(address, segmentSizeBytes))) {
        const found = await stat(path).catch(() => undefined);
        if (found) return found.size < Number(address % BigInt(segmentSizeBytes)) + WAL_PAGE_BYTES;
      }
      return false;
    },
    lacked: () => lacks,
    async close() {
      await file?.handle.close();
    },
  };
}

/** A folder or a pipe in the place of a segment holds no WAL: as if nothing were there. */
async function openFirst(paths: readonly Buffer[]): Promise<FileHandle | undefined> {
  for (const path of paths) {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(unlessMissing);
    if (handle === undefined) continue;
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  }
  return undefined;
}

export const headerBytes = (page: Buffer): number => ((page.readUInt16LE(2) & 0x0002) === 0 ? SHORT_HEADER_BYTES : LONG_HEADER_BYTES);

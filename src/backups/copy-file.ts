import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { type BytePath, toBytes } from '../formats/byte-path.ts';
import { pageBuffer } from '../formats/page-buffer.ts';
import { pageChecksum } from '../formats/page-checksum.ts';
import { isSoundPage, type PageRule, pageLsn, type SuspectPage } from '../formats/pages.ts';
import { unlessMissing } from '../kernel/errors.ts';
import type { Identity } from '../kernel/machine.ts';
import { openRegular, openRegularSync } from './regular-file.ts';

/** One file to copy. Plain data: it crosses threads. */
export interface CopyTask {
  /** By which the result is known. */
  readonly path: BytePath;
  readonly from: BytePath;
  /** Must not exist. */
  readonly to: BytePath;
  /** The expected size: only for dealing the files out. */
  readonly sizeBytes: number;
  /** Read no further: what a file grew by since it was listed comes back from WAL. */
  readonly sizeMaxBytes: number;
  readonly mode: number;
  readonly owner: Identity | undefined;
  /** Given for relation files of an instance with data checksums. */
  readonly pages: PageRule | undefined;
  /** False where the caller makes the whole file system durable afterwards. */
  readonly sync: boolean;
  /** The bytes that this thread may read in a second; undefined: as fast as it can. */
  readonly bytesPerSecond?: number | undefined;
  /** A clone where the file system can, checked by what was really read. */
  readonly clone?: boolean;
  /** Blocks of nothing but zeroes are left as holes: the bytes and the size are the same, and they take no room. */
  readonly sparse?: boolean;
  /** The source may be somebody else's work: only a regular file is read, and no link is followed. */
  readonly untrusted?: boolean;
}

export interface CopiedFile {
  /** Less than asked for when the file was truncated meanwhile. */
  readonly sizeBytes: number;
  /** The bytes that were written: fewer than the size where holes were left. */
  readonly writtenBytes: number;
  readonly sha256: string;
  /** Blocks that are damaged for certain. */
  readonly damagedBlocks: readonly number[];
  /** Unsound pages that claim to be newer than the backup's start: torn by a write under way, unless their LSN turns out to lie ahead. */
  readonly tornPages: readonly SuspectPage[];
}

/** Undefined when `from` has vanished. */
export interface CopyResult {
  readonly path: BytePath;
  readonly copied: CopiedFile | undefined;
}

const CHUNK_BYTES = 1024 * 1024;
const REREADS_MAX = 5;
const REREAD_PAUSE_MS = 20;

/**
 * Copies one file in one pass: read, judge its pages, hash, write, fsync. Synchronously: it runs on a thread of its own, and for small files
 * Node spends more on each promise than the kernel on the call.
 */
export function copyFile(task: CopyTask): CopyResult {
  const { path, mode, owner, sync } = task;
  const [from, to] = [toBytes(task.from), toBytes(task.to)];
  if (task.untrusted) {
    const there = openIfThere(from, openRegularSync); // A clone of a pipe would wait for its writer.
    if (there === undefined) return { path, copied: undefined };
    closeSync(there);
  }
  const isClone = task.clone === true && clone(from, to);
  let source: number | undefined;
  let target: number | undefined;
  try {
    source = openIfThere(isClone ? to : from, task.untrusted ? openRegularSync : (path) => openSync(path, 'r'));
    if (source === undefined) return { path, copied: undefined };
    target = openSync(to, isClone ? 'r' : 'wx', mode);
    if (isClone) fchmodSync(target, mode);
    if (owner) fchownSync(target, owner.uid, owner.gid);
    const copied = pump(source, isClone ? undefined : target, task);
    if (sync) fsyncSync(target);
    return { path, copied };
  } finally {
    for (const handle of [source, target]) if (handle !== undefined) closeSync(handle);
  }
}

function clone(from: Buffer, to: Buffer): boolean {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch {
    return false;
  }
}

function openIfThere(path: Buffer, opening: (path: Buffer) => number): number | undefined {
  try {
    return opening(path);
  } catch (thrown) {
    return unlessMissing(thrown);
  }
}

function pump(source: number, target: number | undefined, { sizeMaxBytes, pages, bytesPerSecond, sparse }: CopyTask): CopiedFile {
  const { bytes, findUnsound } = pageBuffer();
  const hash = createHash('sha256');
  const damagedBlocks: number[] = [];
  const tornPages: SuspectPage[] = [];
  let position = 0;
  let writtenBytes = 0;
  while (position < sizeMaxBytes) {
    const length = fill(source, bytes, Math.min(bytes.length, sizeMaxBytes - position), position);
    if (length === 0) break;
    if (pages) {
      for (const suspect of findUnsound(length, position / pages.blockSizeBytes, pages)) {
        const verdict = judge(source, bytes, position, suspect, pages);
        if (verdict === 'damaged') damagedBlocks.push(suspect.block);
        if (verdict === 'torn') tornPages.push(suspect);
      }
    }
    const chunk = bytes.subarray(0, length);
    hash.update(chunk);
    if (target !== undefined) writtenBytes += sparse ? writeFilled(target, chunk, position) : writeAll(target, chunk, position);
    position += length;
    if (bytesPerSecond !== undefined) pause((length / bytesPerSecond) * 1000); // A little slower than asked for: reading takes its time too.
  }
  if (sparse && target !== undefined) ftruncateSync(target, position); // A hole at the end is made by the size alone.
  return { sizeBytes: position, writtenBytes, sha256: hash.digest('hex'), damagedBlocks, tornPages };
}

const HOLE_BYTES = 64 * 1024;
const zeroes = Buffer.alloc(HOLE_BYTES);

/** Returns how many bytes it wrote. */
function writeFilled(target: number, chunk: Buffer, position: number): number {
  let written = 0;
  for (let at = 0; at < chunk.length; at += HOLE_BYTES) {
    const block = chunk.subarray(at, at + HOLE_BYTES);
    if (!block.equals(zeroes.subarray(0, block.length))) written += writeAll(target, block, position + at);
  }
  return written;
}

/** write(2) may write less than asked for. */
function writeAll(target: number, bytes: Buffer, position: number): number {
  for (let written = 0; written < bytes.length; ) written += writeSync(target, bytes, written, bytes.length - written, position + written);
  return bytes.length;
}

/**
 * A page that fails is read again, because the server may have been writing it (basebackup.c reads once more). A sound second reading takes
 * the first's place in `chunk`; one that is newer than the backup's start is left to WAL replay.
 */
function judge(
  source: number,
  chunk: Buffer,
  chunkPosition: number,
  { block, lsn }: SuspectPage,
  rule: PageRule,
): 'sound' | 'torn' | 'damaged' {
  if (rule.startLsn !== undefined && lsn >= rule.startLsn) return 'torn';
  const position = block * rule.blockSizeBytes;
  const page = Buffer.allocUnsafe(rule.blockSizeBytes);
  for (let attempt = 0; attempt < REREADS_MAX; attempt += 1) {
    if (attempt > 0) pause(REREAD_PAUSE_MS);
    if (fill(source, page, page.length, position) < page.length) return 'sound'; // The relation was truncated here: WAL says so too.
    if (isSoundPage(page, rule.firstBlock + block, pageChecksum)) {
      page.copy(chunk, position - chunkPosition);
      return 'sound';
    }
    if (rule.startLsn !== undefined && pageLsn(page, 0) >= rule.startLsn) return 'torn';
  }
  return 'damaged';
}

const pause = (durationMs: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);

/** read(2) may return less than asked for before the end of a file. */
export function fill(file: number, into: Buffer, length: number, position: number): number {
  let filled = 0;
  while (filled < length) {
    const bytesRead = readSync(file, into, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** SHA-256 and size of a file, read once. */
export async function hashFile(path: Buffer, signal: AbortSignal): Promise<{ sizeBytes: number; sha256: string }> {
  const file = await openRegular(path);
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let position = 0; ; ) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return { sizeBytes: position, sha256: hash.digest('hex') };
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  } finally {
    await file.close();
  }
}

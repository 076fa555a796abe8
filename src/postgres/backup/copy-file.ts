import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Identity } from '../../core/contracts.ts';
import { errnoOf } from '../../core/errors.ts';
import { pageChecksum } from '../formats/page-checksum.ts';
import { findUnsoundPages, isSoundPage, type PageRule, pageLsn, type SuspectPage } from '../formats/pages.ts';

export interface CopyOptions {
  /** Read no further: what a file grew by since it was listed comes back from WAL. */
  readonly sizeMaxBytes: number;
  readonly mode: number;
  readonly owner: Identity | undefined;
  /** Given for relation files of an instance with data checksums. */
  readonly pages: PageRule | undefined;
  /** False where the caller makes the whole file system durable afterwards. */
  readonly sync?: boolean;
  /** Told after each chunk: large files take their time. */
  read?(bytes: number): void;
}

export interface CopiedFile {
  /** Less than asked for when the file was truncated meanwhile. */
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Blocks that are damaged for certain. */
  readonly damagedBlocks: readonly number[];
  /** Unsound pages that claim to be newer than the backup's start: torn by a write under way, unless their LSN turns out to lie ahead. */
  readonly tornPages: readonly SuspectPage[];
}

const CHUNK_BYTES = 1024 * 1024;
const REREADS_MAX = 5;
const REREAD_PAUSE_MS = 20;

/** Copies one file in one pass: read, judge its pages, hash, write, fsync. `to` must not exist. Undefined when `from` has vanished. */
export async function copyFileHashed(from: Buffer, to: Buffer, options: CopyOptions, signal: AbortSignal): Promise<CopiedFile | undefined> {
  const source = await open(from, 'r').catch((thrown: unknown) => {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  });
  if (!source) return undefined;
  try {
    const target = await open(to, 'wx', options.mode);
    try {
      if (options.owner) await target.chown(options.owner.uid, options.owner.gid);
      const copied = await pump(source, target, options, signal);
      if (options.sync ?? true) await target.sync();
      return copied;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function pump(
  source: FileHandle,
  target: FileHandle,
  { sizeMaxBytes, pages, read }: CopyOptions,
  signal: AbortSignal,
): Promise<CopiedFile> {
  const hash = createHash('sha256');
  const damagedBlocks: number[] = [];
  const tornPages: SuspectPage[] = [];
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(sizeMaxBytes, 1)));
  let position = 0;
  while (position < sizeMaxBytes) {
    signal.throwIfAborted();
    const chunk = await readFully(source, buffer.subarray(0, Math.min(buffer.length, sizeMaxBytes - position)), position);
    if (chunk.length === 0) break;
    if (pages) {
      const firstBlock = position / pages.blockSizeBytes;
      for (const suspect of findUnsoundPages(chunk, firstBlock, pages, pageChecksum)) {
        const verdict = await judge(source, chunk, position, suspect, pages, signal);
        if (verdict === 'damaged') damagedBlocks.push(suspect.block);
        if (verdict === 'torn') tornPages.push(suspect);
      }
    }
    hash.update(chunk);
    await writeFully(target, chunk);
    position += chunk.length;
    read?.(chunk.length);
  }
  return { sizeBytes: position, sha256: hash.digest('hex'), damagedBlocks, tornPages };
}

/**
 * A page that fails is read again, because the server may have been writing it (basebackup.c reads once more). A sound second reading takes
 * the first's place in `chunk`; one that is newer than the backup's start is left to WAL replay.
 */
async function judge(
  source: FileHandle,
  chunk: Buffer,
  chunkPosition: number,
  { block, lsn }: SuspectPage,
  rule: PageRule,
  signal: AbortSignal,
): Promise<'sound' | 'torn' | 'damaged'> {
  if (rule.startLsn !== undefined && lsn >= rule.startLsn) return 'torn';
  const position = block * rule.blockSizeBytes;
  const again = Buffer.allocUnsafe(rule.blockSizeBytes);
  for (let attempt = 0; attempt < REREADS_MAX; attempt += 1) {
    await sleep(attempt === 0 ? 0 : REREAD_PAUSE_MS, undefined, { signal });
    const page = await readFully(source, again, position);
    if (page.length < again.length) return 'sound'; // The relation was truncated here: WAL says so too.
    if (isSoundPage(page, rule.firstBlock + block, pageChecksum)) {
      page.copy(chunk, position - chunkPosition);
      return 'sound';
    }
    if (rule.startLsn !== undefined && pageLsn(page, 0) >= rule.startLsn) return 'torn';
  }
  return 'damaged';
}

async function readFully(file: FileHandle, into: Buffer, position: number): Promise<Buffer> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return into.subarray(0, filled);
}

async function writeFully(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let written = 0; written < chunk.length; ) written += (await file.write(chunk, written)).bytesWritten;
}

/** SHA-256 and size of a file, read once. */
export async function hashFile(path: Buffer, signal: AbortSignal): Promise<{ sizeBytes: number; sha256: string }> {
  const file = await open(path, 'r');
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let position = 0;
    for (;;) {
      signal.throwIfAborted();
      const chunk = await readFully(file, buffer, position);
      hash.update(chunk);
      position += chunk.length;
      if (chunk.length < buffer.length) return { sizeBytes: position, sha256: hash.digest('hex') };
    }
  } finally {
    await file.close();
  }
}

import { createHash } from 'node:crypto';
import { closeSync, constants, copyFileSync, fchmodSync, fchownSync, fstatSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { type BytePath, toBytes } from '../formats/byte-path.ts';
import type { ByteSource, Layers } from '../formats/layered-file.ts';
import { pageBuffer } from '../formats/page-buffer.ts';
import { pageChecksum } from '../formats/page-checksum.ts';
import { DELTA_PAGE_BYTES } from '../formats/page-delta.ts';
import { isSoundPage, type PageRule, pageLsn, type SuspectPage } from '../formats/pages.ts';
import { loadZstdSync } from '../formats/zstd.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Identity } from '../kernel/machine.ts';
import { openIfThere, openSource, reading, Unreadable } from './copy-source.ts';
import { cloneSink, deltaSink, nowhere, openEarlier, type Sink, TooManyChanged, wholeSink } from './page-sinks.ts';
import { openRegularSync } from './regular-file.ts';

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
  /** A source that cannot be read is a result, not a failure. */
  readonly tellsUnreadable?: boolean;
  /** The source is what `from` was before pages of it were written over. */
  readonly layers?: Layers | undefined;
  /** Only what differs from an earlier copy of the file is written. */
  readonly against?: Against | undefined;
}

/** An earlier copy of a file. `clone`: shares its blocks with `to`. `delta`: `to` is not made; files with its pages, and with what to write into it, are. */
export type Against =
  | { readonly how: 'clone'; readonly earlier: BytePath }
  | { readonly how: 'delta'; readonly number: number; readonly earlier: BytePath; readonly old: BytePath; readonly fresh: BytePath };

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
  /** Undefined where the file was copied whole; `delta`: it is not there yet. */
  readonly compared?: { readonly how: Against['how']; readonly changedPages: number; readonly earlierSizeBytes: number } | undefined;
  /** The words of whoever could not read the earlier copy, where those speak of the file. */
  readonly earlierDamage?: string | undefined;
}

/** `copied` is undefined when `from` has vanished, or cannot be read. */
export interface CopyResult {
  readonly path: BytePath;
  readonly copied: CopiedFile | undefined;
  /** The words of whoever could not read it; only of tasks that tell it so. */
  readonly unreadable?: string | undefined;
}

const REREADS_MAX = 5;
const REREAD_PAUSE_MS = 20;

/** For tasks with `layers` or `against`, whose pages are packed. */
export async function prepareCopies(tasks: readonly CopyTask[]): Promise<void> {
  if (tasks.some(({ layers, against }) => layers ?? against)) await loadZstdSync();
}

/**
 * Copies one file in one pass: read, judge its pages, hash, write, fsync. Synchronously: it runs on a thread of its own, and for small files
 * Node spends more on each promise than the kernel on the call. Call `prepareCopies` before.
 */
export function copyFile(task: CopyTask): CopyResult {
  try {
    return copyAgainst(task);
  } catch (thrown) {
    if (!(thrown instanceof Unreadable)) throw thrown;
    if (task.tellsUnreadable !== true) throw thrown.cause;
    return { path: task.path, copied: undefined, unreadable: wordsOf(thrown.cause) };
  }
}

/** As what differs from the earlier copy, or the whole file where comparing is not worth it. Throws `Unreadable`. */
function copyAgainst(task: CopyTask): CopyResult {
  const { against, to } = task;
  try {
    return against?.how === 'delta' ? copyDelta(task, against) : copyOut(task);
  } catch (thrown) {
    if (!(thrown instanceof TooManyChanged)) throw thrown;
    for (const begun of against?.how === 'delta' ? [against.old, against.fresh] : [to]) rmSync(toBytes(begun), { force: true });
    const { path, copied } = copyOut({ ...task, against: undefined });
    const damage = thrown.cause instanceof Unreadable ? wordsOf(thrown.cause.cause) : undefined;
    return { path, copied: copied && { ...copied, earlierDamage: damage } };
  }
}

/** To `to`, whole or as what differs from a clone. */
function copyOut(task: CopyTask): CopyResult {
  const { path, mode, owner, sync, against, layers } = task;
  const [from, to] = [toBytes(task.from), toBytes(task.to)];
  if (task.untrusted) {
    const there = reading(() => openIfThere(task.from, openRegularSync, (file) => file)); // A clone of a pipe would wait for its writer.
    if (there === undefined) return { path, copied: undefined };
    closeSync(there);
  }
  const isCopy = task.clone === true && layers === undefined && clone(from, to);
  const source = openSource(task, isCopy ? task.to : task.from);
  if (source === undefined) return { path, copied: undefined };
  const isClone = isCopy || (against !== undefined && clone(toBytes(against.earlier), to));
  let target: number | undefined;
  try {
    target = openSync(to, isCopy ? 'r' : isClone ? 'r+' : 'wx', mode);
    if (isClone) fchmodSync(target, mode);
    if (owner) fchownSync(target, owner.uid, owner.gid);
    const earlierSizeBytes = isClone && !isCopy ? fstatSync(target).size : undefined;
    const sink = earlierSizeBytes === undefined ? wholeSink(target, task.sparse === true) : cloneSink(target, earlierSizeBytes);
    const copied = pump(source, isCopy ? nowhere : sink, task);
    if (sync) fsyncSync(target);
    const compared =
      earlierSizeBytes === undefined ? undefined : { how: 'clone' as const, changedPages: pagesIn(copied.writtenBytes), earlierSizeBytes };
    return { path, copied: { ...copied, compared } };
  } finally {
    source.close();
    if (target !== undefined) closeSync(target);
  }
}

const pagesIn = (bytes: number): number => Math.ceil(bytes / DELTA_PAGE_BYTES);

/** Beside the earlier copy: its pages, durable, and what is to be written into it. Throws `TooManyChanged`. */
function copyDelta(task: CopyTask, { earlier: path, old, fresh }: Extract<Against, { how: 'delta' }>): CopyResult {
  const source = openSource(task, task.from);
  if (source === undefined) return { path: task.path, copied: undefined };
  const handles: number[] = [];
  try {
    const opened = (file: BytePath): number => {
      const handle = openSync(toBytes(file), 'wx', 0o600);
      handles.push(handle);
      if (task.owner) fchownSync(handle, task.owner.uid, task.owner.gid);
      return handle;
    };
    const earlier = openEarlier(path);
    try {
      const sink = deltaSink(earlier, { old: opened(old), fresh: opened(fresh) }, pagesIn(Math.max(earlier.sizeBytes, task.sizeBytes)) / 2);
      const copied = pump(source, sink, task);
      fsyncSync(handles[0]!);
      const compared = { how: 'delta' as const, changedPages: sink.changedPages(), earlierSizeBytes: earlier.sizeBytes };
      return { path: task.path, copied: { ...copied, compared } };
    } finally {
      earlier.close();
    }
  } finally {
    source.close();
    for (const handle of handles) closeSync(handle);
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

function pump(source: ByteSource, sink: Sink, { sizeMaxBytes, pages, bytesPerSecond }: CopyTask): CopiedFile {
  const { bytes, findUnsound } = pageBuffer();
  const hash = createHash('sha256');
  const damagedBlocks: number[] = [];
  const tornPages: SuspectPage[] = [];
  let position = 0;
  let writtenBytes = 0;
  while (position < sizeMaxBytes) {
    const from = position;
    const length = reading(() => source.fill(bytes, Math.min(bytes.length, sizeMaxBytes - from), from));
    if (length === 0) break;
    if (pages) {
      for (const suspect of findUnsound(length, position / pages.blockSizeBytes, pages)) {
        const verdict = reading(() => judge(source, bytes, position, suspect, pages));
        if (verdict === 'damaged') damagedBlocks.push(suspect.block);
        if (verdict === 'torn') tornPages.push(suspect);
      }
    }
    const chunk = bytes.subarray(0, length);
    hash.update(chunk);
    writtenBytes += sink.write(chunk, position);
    position += length;
    if (bytesPerSecond !== undefined) pause((length / bytesPerSecond) * 1000); // A little slower than asked for: reading takes its time too.
  }
  writtenBytes += sink.end(position);
  return { sizeBytes: position, writtenBytes, sha256: hash.digest('hex'), damagedBlocks, tornPages };
}

/**
 * A page that fails is read again, because the server may have been writing it (basebackup.c reads once more). A sound second reading takes
 * the first's place in `chunk`; one that is newer than the backup's start is left to WAL replay.
 */
function judge(
  source: ByteSource,
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
    if (source.fill(page, page.length, position) < page.length) return 'sound'; // The relation was truncated here: WAL says so too.
    if (isSoundPage(page, rule.firstBlock + block, pageChecksum)) {
      page.copy(chunk, position - chunkPosition);
      return 'sound';
    }
    if (rule.startLsn !== undefined && pageLsn(page, 0) >= rule.startLsn) return 'torn';
  }
  return 'damaged';
}

const pause = (durationMs: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);

import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { type BytePath, join, toBytes } from '../../formats/byte-path.ts';
import { unlessMissing } from '../../kernel/errors.ts';
import { openRegular } from '../regular-file.ts';
import type { CopiedFile, Run } from './manifest.ts';
import { FRAME_BYTES, joined, type Packer } from './packer.ts';

const PAGE_BYTES = 8192;

/** The file as the copy holds it from an earlier backup, whose own file is still here to compare with. */
export interface EarlierFile {
  readonly root: BytePath;
  readonly file: CopiedFile;
}

/**
 * One file into the copy: pages that are the same as in the earlier backup's file are named where they lie already. An unchanged file that both
 * backups share on the disk is not read at all.
 */
export async function copyOneFile(
  root: BytePath,
  path: BytePath,
  earlier: EarlierFile | undefined,
  packer: Packer,
  signal: AbortSignal,
): Promise<CopiedFile> {
  const source = await openRegular(toBytes(join(root, path)));
  const before = earlier === undefined ? undefined : await openEarlier(earlier);
  try {
    const { ino, dev, mode, size } = await source.stat();
    if (before !== undefined) {
      const other = await before.stat();
      if (other.size !== earlier!.file.sizeBytes) return await read(source, undefined);
      if (other.ino === ino && other.dev === dev) return { ...earlier!.file, path, mode: mode & 0o777 };
    }
    return await read(source, before === undefined ? undefined : { handle: before, runs: earlier!.file.runs });

    async function read(from: FileHandle, held: Held | undefined): Promise<CopiedFile> {
      const hash = createHash('sha256');
      const { runs, sizeBytes } = await readRuns(from, held, hash, packer, signal);
      if (sizeBytes !== size) throw new RangeError(`${path} changed while it was read`);
      return { path, mode: mode & 0o777, sizeBytes, sha256: hash.digest('hex'), runs: joined(runs) };
    }
  } finally {
    await source.close();
    await before?.close();
  }
}

interface Held {
  readonly handle: FileHandle;
  readonly runs: readonly Run[];
}

async function readRuns(
  source: FileHandle,
  held: Held | undefined,
  hash: Hash,
  packer: Packer,
  signal: AbortSignal,
): Promise<{ runs: Run[]; sizeBytes: number }> {
  const [chunk, other] = [Buffer.allocUnsafe(FRAME_BYTES), Buffer.allocUnsafe(FRAME_BYTES)];
  const runs: Run[] = [];
  let position = 0;
  for (;;) {
    signal.throwIfAborted();
    const length = await fill(source, chunk, position);
    if (length === 0) return { runs, sizeBytes: position };
    hash.update(chunk.subarray(0, length));
    const otherLength = held === undefined ? 0 : await fill(held.handle, other, position);
    for (let from = 0; from < length; ) {
      const isHeld = isSame(chunk, other, from, length, otherLength);
      let to = from;
      while (to < length && isSame(chunk, other, to, length, otherLength) === isHeld) to = Math.min(to + PAGE_BYTES, length);
      runs.push(...(isHeld ? slice(held!.runs, position + from, to - from) : await packer.add(chunk.subarray(from, to), signal)));
      from = to;
    }
    position += length;
  }
}

/** A page, or what is left of the file, is there in both, byte for byte. */
function isSame(one: Buffer, other: Buffer, at: number, length: number, otherLength: number): boolean {
  const end = Math.min(at + PAGE_BYTES, length);
  return end <= otherLength && one.subarray(at, end).equals(other.subarray(at, end));
}

/** The part of a file's runs that holds `length` bytes from `from` on. */
export function slice(runs: readonly Run[], from: number, length: number): Run[] {
  const part: Run[] = [];
  let start = 0;
  for (const run of runs) {
    const [begin, end] = [Math.max(from, start), Math.min(from + length, start + run.length)];
    if (begin < end) part.push({ pack: run.pack, offset: run.offset + begin - start, length: end - begin });
    start += run.length;
  }
  return part;
}

async function fill(file: FileHandle, into: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

async function openEarlier({ root, file }: EarlierFile): Promise<FileHandle | undefined> {
  return openRegular(toBytes(join(root, file.path))).catch(unlessMissing);
}

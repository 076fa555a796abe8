import { createHash, type Hash } from 'node:crypto';
import type { BytePath } from '../../formats/byte-path.ts';
import type { CopiedFile, Run } from './manifest.ts';
import type { OpenFile } from './open-file.ts';
import { FRAME_BYTES, joined, type Packer } from './packer.ts';

const PAGE_BYTES = 8192;

/** A file to copy: its name in the copy, and how it is opened. */
export interface FileToCopy {
  readonly path: BytePath;
  open(): Promise<OpenFile>;
}

/** The file as the copy holds it from an earlier backup, whose own file is still here to compare with. */
export interface EarlierFile {
  readonly file: CopiedFile;
  /** Undefined where it is gone. */
  open(): Promise<OpenFile | undefined>;
}

/**
 * One file into the copy: pages that are the same as in the earlier backup's file are named where they lie already. An unchanged file that both
 * backups share on the disk is not read at all.
 */
export async function copyOneFile(
  { path, open }: FileToCopy,
  earlier: EarlierFile | undefined,
  packer: Packer,
  signal: AbortSignal,
): Promise<CopiedFile> {
  const source = await open();
  const before = await earlier?.open();
  try {
    const { identity, mode, sizeBytes: size } = source;
    if (before !== undefined) {
      if (before.sizeBytes !== earlier!.file.sizeBytes) return await read(undefined);
      if (identity !== undefined && before.identity === identity) return { ...earlier!.file, path, mode };
    }
    return await read(before === undefined ? undefined : { file: before, runs: earlier!.file.runs });

    async function read(held: Held | undefined): Promise<CopiedFile> {
      const hash = createHash('sha256');
      const { runs, sizeBytes } = await readRuns(source, held, hash, packer, signal);
      if (sizeBytes !== size) throw new RangeError(`${path} changed while it was read`);
      return { path, mode, sizeBytes, sha256: hash.digest('hex'), runs: joined(runs) };
    }
  } finally {
    await source.close();
    await before?.close();
  }
}

interface Held {
  readonly file: OpenFile;
  readonly runs: readonly Run[];
}

async function readRuns(
  source: OpenFile,
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
    const length = await source.fill(chunk, position);
    if (length === 0) return { runs, sizeBytes: position };
    hash.update(chunk.subarray(0, length));
    const otherLength = held === undefined ? 0 : await held.file.fill(other, position);
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

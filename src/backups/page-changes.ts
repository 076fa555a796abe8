import { fillFrom, writeAll } from '../formats/whole-pieces.ts';
import { DbkitError } from '../kernel/errors.ts';

/** Bytes that are to be written into an earlier copy of a file: read once, by the run that wrote it. */
export interface ChangeWriter {
  /** The bytes of `now` that differ from `before`, which may be shorter. */
  add(position: number, now: Buffer, before: Buffer): void;
  /** Returns how many bytes were written. */
  finish(): number;
}

const HEADER_BYTES = 10; // Position in six bytes, length in four.
const BUFFER_BYTES = 1024 * 1024;
const WORD_BYTES = 4;
/** Fewer same bytes than this between two changes cost less than a write of its own. */
const GAP_BYTES = 256;

/** Writes to an open, empty file. */
export function createChangeWriter(file: number): ChangeWriter {
  const buffer = Buffer.alloc(BUFFER_BYTES);
  let [filled, written] = [0, 0];
  const flush = (): void => {
    written += writeAll(file, buffer.subarray(0, filled), written);
    filled = 0;
  };
  const put = (position: number, bytes: Buffer): void => {
    if (filled + HEADER_BYTES + bytes.length > buffer.length) flush();
    buffer.writeUIntLE(position, filled, 6);
    buffer.writeUInt32LE(bytes.length, filled + 6);
    bytes.copy(buffer, filled + HEADER_BYTES);
    filled += HEADER_BYTES + bytes.length;
  };
  return {
    add(position, now, before) {
      for (const [from, to] of rangesOf(now, before)) put(position + from, now.subarray(from, to));
    },
    finish() {
      flush();
      return written;
    },
  };
}

/** Where `now` differs from `before`, in words; whole where they cannot be compared so. */
export function rangesOf(now: Buffer, before: Buffer): [from: number, to: number][] {
  const isAligned = now.length % WORD_BYTES === 0 && now.byteOffset % WORD_BYTES === 0 && before.byteOffset % WORD_BYTES === 0;
  if (now.length !== before.length || !isAligned) return [[0, now.length]];
  const [a, b] = [wordsOf(now), wordsOf(before)];
  const ranges: [number, number][] = [];
  for (let word = 0; word < a.length; word += 1) {
    if (a[word] === b[word]) continue;
    const from = word * WORD_BYTES;
    const last = ranges.at(-1);
    if (last !== undefined && from - last[1] < GAP_BYTES) last[1] = from + WORD_BYTES;
    else ranges.push([from, from + WORD_BYTES]);
  }
  return ranges;
}

const wordsOf = (bytes: Buffer): Int32Array => new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / WORD_BYTES);

/** The bytes that were put aside, in the order in which it was. Throws `data.corrupt` where it is cut short. */
export function* changesIn(file: number): Generator<{ readonly position: number; readonly bytes: Buffer }> {
  const header = Buffer.alloc(HEADER_BYTES);
  for (let at = 0; ; ) {
    const read = fillFrom(file, header, HEADER_BYTES, at);
    if (read === 0) return;
    const bytes = Buffer.alloc(read === HEADER_BYTES ? header.readUInt32LE(6) : 0);
    if (bytes.length === 0 || fillFrom(file, bytes, bytes.length, at + HEADER_BYTES) !== bytes.length)
      throw new DbkitError('data.corrupt', 'what is to be written into the earlier backup is cut short', { hint: 'take the backup again' });
    yield { position: header.readUIntLE(0, 6), bytes };
    at += HEADER_BYTES + bytes.length;
  }
}

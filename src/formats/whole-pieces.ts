import { readSync, writeSync } from 'node:fs';

/** Reads at a position into the beginning of `into`, as read(2) may return less than asked for. Returns how many bytes: fewer only at the end of the file. */
export function fillFrom(file: number, into: Buffer, lengthBytes: number, position: number): number {
  let filled = 0;
  while (filled < lengthBytes) {
    const bytesRead = readSync(file, into, filled, lengthBytes - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** Writes all of `bytes` at a position, as write(2) may write less than asked for. Returns how many those were. */
export function writeAll(target: number, bytes: Buffer, position: number): number {
  for (let written = 0; written < bytes.length; ) written += writeSync(target, bytes, written, bytes.length - written, position + written);
  return bytes.length;
}

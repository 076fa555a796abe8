import { writeSync } from 'node:fs';

/** Writes all of `bytes` at a position, as write(2) may write less than asked for. Returns how many those were. */
export function writeAll(target: number, bytes: Buffer, position: number): number {
  for (let written = 0; written < bytes.length; ) written += writeSync(target, bytes, written, bytes.length - written, position + written);
  return bytes.length;
}

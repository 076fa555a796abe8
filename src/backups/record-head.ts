import type { FileHandle } from 'node:fs/promises';
import { openRegular } from './regular-file.ts';

const CHUNK_BYTES = 64 * 1024;
/** A record is one line of JSON whose last field is a list. */
const END = ']}\n';

/**
 * The record without its last field, the list `field`, as JSON: so many backups of so many files are listed for the price of their number. Undefined
 * where the file does not look like that, and must be read whole to be judged; a file that was cut short never does. A quote within a
 * text of JSON is escaped, so the name of the field is found where it is a name.
 */
export async function readHead(path: string, field: string): Promise<Buffer | undefined> {
  const file = await openRegular(path);
  try {
    const { size } = await file.stat();
    const end = await at(file, Math.max(0, size - END.length), END.length);
    if (end.toString('latin1') !== END) return undefined;
    const mark = Buffer.from(`,"${field}":[`);
    for (let bytes = Math.min(CHUNK_BYTES, size); ; bytes = Math.min(bytes * 4, size)) {
      const head = await at(file, 0, bytes);
      const found = head.indexOf(mark);
      if (found >= 0) return Buffer.concat([head.subarray(0, found), Buffer.from('}')]);
      if (bytes === size) return undefined;
    }
  } finally {
    await file.close();
  }
}

async function at(file: FileHandle, position: number, lengthBytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, position);
  return buffer.subarray(0, bytesRead);
}

import { closeSync, openSync, readSync } from 'node:fs';
import { isZero } from '../formats/pages.ts';

const CHUNK_PAGES = 128;
const PD_UPPER = 14; // src/include/storage/bufpage.h; 0 in a page that was never initialised.
const HASH_INDEX = 0xff80; // HASHO_PAGE_ID (src/include/access/hash.h), in the last two bytes of its pages.

/**
 * The first page that holds zeroes although a later one is in use, or the first of all where none is. The server takes it for empty, and its
 * rows are gone without a word; dd, a hole in a sparse file or a lost write leave such pages. It leaves them itself at a relation's end, and
 * anywhere in hash indexes.
 */
export function findZeroedPage(file: string, blockSizeBytes: number): number | undefined {
  const handle = openSync(file, 'r');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_PAGES * blockSizeBytes);
    let zeroed: number | undefined;
    for (let block = 0; ; ) {
      const pages = Math.floor(readSync(handle, chunk, 0, chunk.length, block * blockSizeBytes) / blockSizeBytes);
      if (pages === 0) return zeroed === 0 ? 0 : undefined;
      for (let page = 0; page < pages; page += 1, block += 1) {
        const bytes = chunk.subarray(page * blockSizeBytes, (page + 1) * blockSizeBytes);
        if (block === 0 && bytes.readUInt16LE(blockSizeBytes - 2) === HASH_INDEX) return undefined;
        if (bytes.readUInt16LE(PD_UPPER) === 0 && isZero(bytes)) zeroed ??= block;
        else if (zeroed !== undefined) return zeroed;
      }
    }
  } finally {
    closeSync(handle);
  }
}

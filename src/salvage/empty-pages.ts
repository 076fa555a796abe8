import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { isZero } from '../formats/pages.ts';

const CHUNK_PAGES = 128;

/**
 * How many pages of a relation hold nothing, not even a header, beside those that are `known`: no server complains of them. Those at its end are
 * not counted: a relation is extended by several pages at a time.
 */
export async function countEmptyPages(
  dataDir: string,
  path: string,
  {
    known,
    pageBytes,
    pagesPerSegment,
  }: { readonly known: ReadonlySet<number>; readonly pageBytes: number; readonly pagesPerSegment: number },
  signal: AbortSignal,
): Promise<number> {
  let empty = 0;
  let since = 0;
  const chunk = Buffer.alloc(CHUNK_PAGES * pageBytes);
  for (let segment = 0; ; segment += 1) {
    const file = await open(join(dataDir, segment === 0 ? path : `${path}.${segment}`), 'r').catch(() => undefined);
    if (!file) return empty;
    try {
      for (let first = 0; ; first += CHUNK_PAGES) {
        signal.throwIfAborted();
        const { bytesRead } = await file.read(chunk, 0, chunk.length, first * pageBytes);
        const pages = Math.floor(bytesRead / pageBytes);
        for (let page = 0; page < pages; page += 1) {
          if (!isZero(chunk.subarray(page * pageBytes, (page + 1) * pageBytes))) [empty, since] = [empty + since, 0];
          else if (!known.has(segment * pagesPerSegment + first + page)) since += 1;
        }
        if (pages < CHUNK_PAGES) break;
      }
    } finally {
      await file.close();
    }
  }
}

import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DamagedCopy } from './copy-damaged.ts';
import type { MissingFile } from './report.ts';

const SEGMENT_BYTES = 32 * 8192; // SLRU_PAGES_PER_SEGMENT pages (src/include/access/slru.h)
const ALL_COMMITTED = 0x55; // Two bits a transaction, 01: committed (src/backend/access/transam/clog.c).

/**
 * Puts something in the place of a file that the copy lacks. Of lost transaction status nobody knows any more what was committed: it is taken
 * for committed, as rows that were never finished are rarer, and easier to find, than rows that vanish. Resolves to what that means, in words.
 */
export async function standIn({ dataDir, own }: DamagedCopy, { kind, path }: MissingFile): Promise<string> {
  const file = join(dataDir, path);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const there = await readFile(file).catch(() => Buffer.alloc(0));
  if (kind === 'relation') {
    await writeFile(file, there);
    await own(file);
    return `the file ${path} is missing and was taken for empty: what it held is lost, unless it was an index`;
  }
  const isStatus = path.startsWith('pg_xact/');
  const segment = Buffer.alloc(SEGMENT_BYTES, isStatus ? ALL_COMMITTED : 0);
  there.copy(segment);
  await writeFile(file, segment);
  await truncate(file, SEGMENT_BYTES);
  await own(file);
  return isStatus
    ? `${path} is lost: transactions whose outcome it held are taken for committed, so rows of some that were rolled back may be among the rows, and rows that those had removed may be missing`
    : `${path} is lost and was taken for empty: row locks that several transactions shared are forgotten`;
}

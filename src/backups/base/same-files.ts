import { join } from 'node:path';
import { fromText, join as joinBytes, toBytes } from '../../formats/byte-path.ts';
import type { KnownFile } from '../../inspection/known-file.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { hashFile } from '../regular-file.ts';
import { readManifestFile } from './manifest.ts';
import { stampsOf, type WholeRecord } from './record.ts';
import { wasAtRest } from './sharing.ts';

const MTIME_TOLERANCE_MS = 0.001; // The inventory keeps milliseconds as a double; nanoseconds do not survive that.

/** Where a backup holds a file, and its digest: a later backup may write over the file before somebody has copied it. */
export interface SameFile {
  readonly from: string;
  readonly sha256: string;
}

/**
 * Which of `files`, as a clean shutdown left them, a backup holds byte for byte, and where. A file is the same when size and mtime are those
 * that the copy saw, it had been at rest by then, and the backup's own bytes still match the manifest. Any doubt leaves it out; rejects where dbkit
 * is short of descriptors to read it.
 */
export async function findSameFiles(
  record: WholeRecord | undefined,
  directory: string,
  files: readonly KnownFile[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, SameFile>> {
  const found = new Map<string, SameFile>();
  const manifest = await readManifestFile(directory).catch(unlessOwnTrouble);
  if (!manifest || !record || record.state === 'damaged') return found;
  const digests = new Map<string, string>(manifest.files.map(({ path, sha256 }) => [path, sha256]));
  const stampOf = stampsOf(record);
  const began = BigInt(record.copyBeganNs);
  for (const { path, sizeBytes, mtimeMs } of files) {
    const name = fromText(path);
    const stamp = stampOf(name);
    if (!stamp || stamp.sizeBytes !== sizeBytes || Math.abs(Number(stamp.mtimeNs) / 1e6 - mtimeMs) > MTIME_TOLERANCE_MS) continue;
    if (!wasAtRest(stamp.mtimeNs, began)) continue;
    const read = await hashFile(toBytes(joinBytes(fromText(directory), name)), signal).catch(unlessOwnTrouble);
    signal.throwIfAborted();
    if (read?.sizeBytes === sizeBytes && read.sha256 === digests.get(name))
      found.set(path, { from: join(directory, path), sha256: read.sha256 });
  }
  return found;
}

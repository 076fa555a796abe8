import { join } from 'node:path';
import { fromText, join as joinBytes, toBytes } from '../../formats/byte-path.ts';
import { hashFile } from '../regular-file.ts';
import type { BackupRecord } from './record.ts';

/** Where a backup holds the WAL segment `name`, its bytes still those of the record; undefined where it does not. A finished segment never changes. */
export async function findWalSegment(
  record: BackupRecord,
  directory: string,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const stored = record.wal.find((file) => file.name === name);
  if (stored?.sizeBytes !== record.walSegmentSizeBytes) return undefined;
  const path = joinBytes(fromText(directory), fromText(`pg_wal/${name}`));
  const read = await hashFile(toBytes(path), signal).catch(() => undefined);
  signal.throwIfAborted();
  return read?.sizeBytes === stored.sizeBytes && read.sha256 === stored.sha256 ? join(directory, 'pg_wal', name) : undefined;
}

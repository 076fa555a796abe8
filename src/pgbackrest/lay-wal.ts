import { readdir } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { headerOf } from '../backups/base/wal-copy.ts';
import { copyFile } from '../backups/copy-file.ts';
import { fromText, join } from '../formats/byte-path.ts';
import {
  holdsSegment,
  LONG_HEADER_BYTES,
  parseLsn,
  parseSegmentName,
  segmentName,
  segmentOf,
  timelineOfHistory,
} from '../formats/wal-segment.ts';
import { unlessMissing } from '../kernel/errors.ts';
import type { Identity } from '../kernel/machine.ts';
import type { RestBackup } from './info.ts';

/** The WAL of a data directory that goes, and the restored one that may need what the repository lacks of it. */
export interface Lay {
  readonly from: string;
  readonly directory: string;
  readonly backup: Pick<RestBackup, 'startLsn' | 'timeline' | 'systemIdentifier'>;
  readonly segmentSizeBytes: number;
  readonly owner: Identity | undefined;
}

/**
 * Copies every segment since the backup's start that holds what its name says, and the histories: PostgreSQL asks the repository first, and pg_wal for
 * what that lacks. Resolves to how many segments there were. One that is written meanwhile ends where it is not whole, as a crash would end it.
 */
export async function layWal({ from, directory, backup, segmentSizeBytes: size, owner }: Lay, signal: AbortSignal): Promise<number> {
  const names = (await readdir(from).catch(unlessMissing)) ?? [];
  const first = segmentOf(parseLsn(backup.startLsn), size);
  const [source, target] = [fromText(from), fromText(joinPath(directory, 'pg_wal'))];
  const have = new Set(await readdir(joinPath(directory, 'pg_wal')));
  let laid = 0;
  for (const name of names) {
    signal.throwIfAborted();
    if (have.has(name)) continue; // The backup's own.
    const parsed = parseSegmentName(name, size);
    const isHistory = (timelineOfHistory(name) ?? 0) > backup.timeline;
    if (!isHistory && (parsed === undefined || parsed.timeline < backup.timeline || parsed.segment < first)) continue;
    if (parsed && !isHistory) {
      const { systemIdentifier } = backup;
      const header = await headerOf(source, segmentName(parsed.timeline, parsed.segment, size), LONG_HEADER_BYTES);
      if (!holdsSegment(header, { ...parsed, systemIdentifier, segmentSizeBytes: size })) continue; // Recycled, for a segment to come.
    }
    const path = fromText(name);
    const limits = { sizeBytes: size, sizeMaxBytes: size };
    copyFile({ path, from: join(source, path), to: join(target, path), ...limits, mode: 0o600, owner, pages: undefined, sync: true });
    if (!isHistory) laid += 1;
  }
  return laid;
}

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crcOf, readRecords } from '../formats/wal-reader.ts';
import { segmentName } from '../formats/wal-segment.ts';
import type { Reached, ReadReached } from '../inspection/reached.ts';
import type { Files } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { openArchive } from './archive.ts';
import type { WalArchive } from './contract.ts';
import { parseKept, timelineFolder } from './layout.ts';
import { type Mark, readMark } from './mark.ts';
import { namesOfKept } from './read-kept.ts';

/** How far the WAL of a cluster is known to have come: by its mark, and by what the archive has that goes on from there. One that cannot be read says nothing. */
export const readReached =
  (repositoryDir: string, files: Pick<Files, 'write'>) =>
  async (...[stateDir, dataDir, systemIdentifier, signal]: Parameters<ReadReached>): Promise<Reached | undefined> => {
    const mark = await readMark(stateDir, dataDir, systemIdentifier);
    if (mark === undefined) return undefined;
    const further = await markInArchive(openArchive(repositoryDir, mark.systemIdentifier, files), mark, signal).catch(unlessOwnTrouble);
    signal.throwIfAborted();
    return further ?? mark;
  };

/**
 * The mark, as far as the archive goes on from it: what was kept is known to have been there, to the last second. The mark itself where the archive comes no further,
 * or does not hold the record that the mark names. Costs a listing of one folder; WAL is read from the mark on.
 */
async function markInArchive(archive: WalArchive, mark: Mark, signal: AbortSignal): Promise<Reached> {
  const newest = await newestOf(archive, mark.timeline);
  const size = newest === undefined ? undefined : await archive.segmentSizeBytes();
  if (newest === undefined || size === undefined) return mark;
  const one = await archive.segment(newest);
  if (one === undefined || one.endLsn <= mark.flushedLsn) return mark;
  const identity = { systemIdentifier: mark.systemIdentifier, timeline: mark.timeline, segmentSizeBytes: size };
  const bytesOf = async (segment: bigint): Promise<Buffer | undefined> => {
    const kept = await archive.segment(segmentName(mark.timeline, segment, size));
    return kept && archive.read(kept, signal);
  };
  const { end, last } = await readRecords(
    bytesOf,
    identity,
    mark.lastRecordLsn,
    signal,
    ({ lsn, bytes }) => lsn !== mark.lastRecordLsn || crcOf(bytes) === mark.lastRecordCrc,
  );
  if (last === undefined || last.lsn === mark.lastRecordLsn || end <= mark.flushedLsn) return mark;
  const at = (await stat(one.path)).mtime.toISOString();
  return {
    ...mark,
    notedLsn: mark.lastRecordLsn,
    flushedLsn: end,
    lastRecordLsn: last.lsn,
    lastRecordCrc: last.crc,
    clean: false,
    at: [at, mark.at].sort().at(-1)!,
  };
}

/** The name of the newest segment that was kept of a timeline. */
async function newestOf({ dir }: WalArchive, timeline: number): Promise<string | undefined> {
  const names = await namesOfKept(join(dir, timelineFolder(timeline)));
  return names
    .flatMap((file) => parseKept(file)?.name ?? [])
    .sort()
    .at(-1);
}

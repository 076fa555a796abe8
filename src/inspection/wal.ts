import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { RM_XLOG, readWal, type WalRecord } from '../formats/wal-reader.ts';
import {
  formatLsn,
  holdsSegment,
  LONG_HEADER_BYTES,
  type Lsn,
  parseSegmentName,
  readSegmentHeader,
  segmentName,
  segmentOf,
  type WalIdentity,
} from '../formats/wal-segment.ts';
import type { Finding } from './findings.ts';
import type { Walk } from './walk.ts';

/** XLOG_CHECKPOINT_SHUTDOWN and XLOG_CHECKPOINT_ONLINE (src/include/catalog/pg_control.h). */
const checkpointOperations = new Set([0x00, 0x10]);

/**
 * The WAL that the checkpoint needs: its segment, whole, with a sound record at its position; and the one where redo begins. A server that
 * follows another one may fetch it from there, so for that one nothing is certain.
 */
export async function inspectWal(
  dataDir: string,
  { entries }: Walk,
  control: ControlFile,
  follows: boolean,
  signal: AbortSignal,
): Promise<Finding[]> {
  const severity = follows ? 'suspect' : 'certain';
  const positions: [what: string, lsn: Lsn][] = [['the checkpoint', control.checkpointLsn]];
  if (control.redoLsn !== control.checkpointLsn) positions.push(['redo', control.redoLsn]);
  for (const [what, lsn] of positions) {
    const size = control.walSegmentSizeBytes;
    const segment = segmentOf(lsn, size);
    const timeline = timelineOf(segment, entries, control);
    const path = `pg_wal/${segmentName(timeline, segment, size)}`;
    const entry = entries.get(path);
    const says =
      what === 'redo'
        ? `could not find redo location referenced by checkpoint record at ${formatLsn(control.checkpointLsn)}`
        : 'could not locate a valid checkpoint record';
    if (!entry)
      return [
        {
          code: 'wal.missing',
          path,
          evidence: `the segment with ${what} (${formatLsn(lsn)}) is missing`,
          severity,
          postgresSays: says,
        },
      ];
    const evidence =
      entry.kind === 'directory'
        ? 'it is a folder, and no file'
        : entry.sizeBytes === size || (entry.sizeBytes < size && (await isCutBehindItsEnd(dataDir, { ...control, timeline }, lsn, signal)))
          ? (headerProblem(dataDir, path, { ...control, timeline }, segment) ??
            (await recordProblem(dataDir, { ...control, timeline }, lsn, what, signal)))
          : `size ${entry.sizeBytes}, expected ${size}`;
    if (evidence !== undefined) return [{ code: 'wal.damaged', path, evidence, severity, postgresSays: says }];
  }
  return [];
}

/** A promotion renames the segment in which the timelines part (`.partial`), and its content goes on under the new timeline's name. */
function timelineOf(segment: bigint, entries: Walk['entries'], { timeline, walSegmentSizeBytes: size }: ControlFile): number {
  if (entries.has(`pg_wal/${segmentName(timeline, segment, size)}`)) return timeline;
  const later = [...entries.keys()]
    .filter((path) => path.startsWith('pg_wal/'))
    .map((path) => parseSegmentName(path.slice('pg_wal/'.length), size))
    .filter((name) => name !== undefined && name.segment === segment && name.timeline > timeline)
    .map((name) => name!.timeline);
  return later.length > 0 ? Math.max(...later) : timeline;
}

/** The server reads a segment's first page whichever page it is after (xlogreader.c, ReadPageInternal). */
function headerProblem(dataDir: string, path: string, control: ControlFile, segment: bigint): string | undefined {
  const head = Buffer.alloc(LONG_HEADER_BYTES);
  const file = openSync(join(dataDir, path), 'r');
  try {
    readSync(file, head, 0, head.length, 0);
  } finally {
    closeSync(file);
  }
  const { timeline, systemIdentifier, walSegmentSizeBytes: segmentSizeBytes } = control;
  const holds = holdsSegment(readSegmentHeader(head), { timeline, segment, systemIdentifier, segmentSizeBytes });
  return holds ? undefined : 'its first page is not that of this segment of this cluster';
}

/** The server reads what is there of a short segment, and fills it up. Where all its records are there nothing is lost. */
async function isCutBehindItsEnd(dataDir: string, control: ControlFile, lsn: Lsn, signal: AbortSignal): Promise<boolean> {
  const { end, broken } = await readWal(fromText(join(dataDir, 'pg_wal')), identityOf(control), lsn, signal);
  return end > lsn && !broken;
}

const identityOf = ({ timeline, walSegmentSizeBytes: segmentSizeBytes, systemIdentifier }: ControlFile): WalIdentity => ({
  timeline,
  segmentSizeBytes,
  systemIdentifier,
});

async function recordProblem(
  dataDir: string,
  control: ControlFile,
  lsn: Lsn,
  what: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  let found: WalRecord | undefined;
  await readWal(fromText(join(dataDir, 'pg_wal')), identityOf(control), lsn, signal, (record) => {
    found = record;
    return false; // One record is enough.
  });
  if (!found) return `there is no sound record at ${formatLsn(lsn)}, where ${what} must be`;
  const isCheckpoint = found.manager === RM_XLOG && checkpointOperations.has(found.info);
  return lsn !== control.checkpointLsn || isCheckpoint ? undefined : `the record at ${formatLsn(lsn)} is no checkpoint`;
}

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import type { WalSource } from '../formats/wal-pages.ts';
import { firstRecordOf } from '../formats/wal-reader.ts';
import { type Lsn, parseSegmentName, segmentOf } from '../formats/wal-segment.ts';
import { errnoOf, isAbort, unlessMissing, wordsOf } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';
import { type PageHistory, readPageHistory } from './page-history.ts';
import type { Baseline } from './prove.ts';

interface Since {
  readonly dataDir: string;
  readonly control: ControlFile;
  readonly baseline: Baseline | undefined;
  readonly log: Logger;
}

/** The backup counts only where all WAL since then could be read. */
export interface Known {
  readonly history: PageHistory | undefined;
  readonly baseline: Baseline | undefined;
}

/** As much as is to be read of the WAL; where there is no backup, all that is here. */
export function walBytes({ dataDir, control, baseline }: Omit<Since, 'log'>): number {
  if (baseline !== undefined && baseline.from <= control.checkpointLsn) return Number(control.checkpointLsn - baseline.from);
  return segmentsHere(dataDir, control).length * control.walSegmentSizeBytes;
}

/**
 * The WAL since the backup, from wherever it is whole: pg_wal and the backup, else the archive. Without it, the longest run of pg_wal that leads
 * to the last checkpoint, and no backup. WAL that cannot be read proves nothing, and stops nothing.
 */
export async function walSince({ dataDir, control, baseline, log }: Since, signal: AbortSignal): Promise<Known> {
  const own = fromText(join(dataDir, 'pg_wal'));
  const isShutDown = control.state === 'shut down';
  const flushedTo = isShutDown ? control.checkpointLsn : control.redoLsn;
  const { systemIdentifier, timeline, walSegmentSizeBytes: segmentSizeBytes, blocksPerSegment } = control;
  const identity = { systemIdentifier, timeline, segmentSizeBytes };
  const read = (source: WalSource, from: Lsn): Promise<PageHistory> =>
    readPageHistory({ source, identity, from, flushedTo, blocksPerSegment }, signal);
  if (baseline && baseline.timeline <= timeline && baseline.from <= flushedTo && (await baseline.leadsTo(dataDir, signal))) {
    // Segments of another timeline may be of a future that was given up, so only who knows the lineage reads them.
    const ways: (() => Promise<WalSource | undefined>)[] = [
      async () => (baseline.timeline === timeline ? [own, fromText(join(baseline.directory, 'pg_wal'))] : undefined),
      () => baseline.keptWal(dataDir, timeline, signal),
    ];
    for (const way of ways) {
      const history = await way()
        .then((source) => source && read(source, baseline.from))
        .catch((cause: unknown) => {
          if (isAbort(cause)) throw cause;
          log.debug('wal.unread', `the WAL since ${baseline.label} could not be read: ${wordsOf(cause)}`);
          return undefined;
        });
      if (history && history.end >= flushedTo) return { history, baseline };
    }
  }
  for (let from = firstSegment(dataDir, control, 0n); from !== undefined; ) {
    const start = await firstRecordOf(own, identity, from, signal);
    const history = start === undefined ? undefined : await read([own], start);
    if (history && history.end >= flushedTo) return { history, baseline: undefined };
    from = firstSegment(dataDir, control, (history ? segmentOf(history.end, segmentSizeBytes) : from) + 1n);
  }
  return { history: undefined, baseline: undefined };
}

/** Segments of the cluster's timeline up to the last checkpoint's; later files may be old ones that wait for their turn. None where pg_wal is gone. */
function segmentsHere(dataDir: string, { timeline, redoLsn, walSegmentSizeBytes: size }: ControlFile): bigint[] {
  const last = segmentOf(redoLsn, size);
  return namesNow(join(dataDir, 'pg_wal')).flatMap((name) => {
    const parsed = parseSegmentName(name, size);
    return parsed?.timeline === timeline && parsed.segment <= last ? [parsed.segment] : [];
  });
}

/** The oldest segment from `from` on. */
const firstSegment = (dataDir: string, control: ControlFile, from: bigint): bigint | undefined =>
  segmentsHere(dataDir, control)
    .filter((segment) => segment >= from)
    .sort((a, b) => (a < b ? -1 : 1))[0];

function namesNow(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOTDIR') unlessMissing(cause);
    return [];
  }
}

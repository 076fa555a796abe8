import { join } from 'node:path';
import type { ControlFile } from '../../formats/control-file.ts';
import { parseSegmentName } from '../../formats/wal-segment.ts';
import { readControl } from '../../inspection/state.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { namesIn } from '../../machine/is-there.ts';

/** How far a member's data has come. */
export interface HeldData {
  readonly systemIdentifier: string;
  /** The newest that it has WAL of: pg_control learns of a promotion only with the next checkpoint. */
  readonly timeline: number;
  /** Its server took writes when pg_control was written last. */
  readonly wasPrimary: boolean;
  readonly checkpointLsn: bigint;
}

/**
 * undefined: there is none, or its pg_control is no such file any more. Rejects with what a disk says that does not answer, and with `data.owner`
 * where this user may not look: that says nothing about what is there.
 */
export async function heldIn(dataDir: string): Promise<HeldData | undefined> {
  const read = readControl(dataDir);
  if ('control' in read) return heldOf(read.control, await namesIn(join(dataDir, 'pg_wal')));
  if (read.why !== 'unreadable') return undefined;
  throw new DbkitError('data.owner', `pg_control of ${dataDir} is not for this user to read, so nobody knows whose data that is`, {
    hint: 'run it as the owner of the data, or as root; nothing was changed',
  });
}

/** Pure. */
export function heldOf(
  { systemIdentifier, timeline, state, checkpointLsn, walSegmentSizeBytes }: ControlFile,
  walNames: readonly string[],
): HeldData {
  const timelines = walNames.flatMap((name) => parseSegmentName(name, walSegmentSizeBytes)?.timeline ?? []);
  const wasPrimary = state === 'in production' || state === 'shut down';
  return { systemIdentifier, timeline: Math.max(timeline, ...timelines), wasPrimary, checkpointLsn };
}

/** A later timeline wins, then a server that wrote itself, then the later checkpoint. */
export const furthestFirst = (a: HeldData, b: HeldData): number =>
  b.timeline - a.timeline || Number(b.wasPrimary) - Number(a.wasPrimary) || Number(b.checkpointLsn - a.checkpointLsn);

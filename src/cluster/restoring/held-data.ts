import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ControlFile, parseControlFile } from '../../formats/control-file.ts';
import { parseSegmentName } from '../../formats/wal-segment.ts';
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

/** undefined: there is none that can be read. */
export async function heldIn(dataDir: string): Promise<HeldData | undefined> {
  const read = await readFile(join(dataDir, 'global/pg_control')).then(parseControlFile, () => undefined);
  if (read === undefined || 'problem' in read) return undefined;
  const { control } = read;
  const names = await namesIn(join(dataDir, 'pg_wal')).catch(() => []);
  return heldOf(control, names);
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

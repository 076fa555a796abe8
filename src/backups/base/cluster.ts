import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toText } from '../../formats/byte-path.ts';
import { type ControlFile, parseControlFile } from '../../formats/control-file.ts';
import type { Lsn } from '../../formats/wal-segment.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { isThere } from '../../machine/is-there.ts';
import { readRegular } from '../regular-file.ts';
import { PACKED_CONTROL } from './pages/packed.ts';

/** The state of the cluster that is to be backed up. */
export interface Cluster {
  readonly systemIdentifier: string;
  readonly major: number;
  /** `PG_15_202209061`: the directory of this cluster's files in a tablespace. */
  readonly versionDirectory: string;
  readonly shutDown: boolean;
  readonly checkpointLsn: Lsn;
  readonly redoLsn: Lsn;
  readonly timeline: number;
  readonly blockSizeBytes: number;
  readonly blocksPerSegment: number;
  readonly segmentSizeBytes: number;
  readonly checksums: boolean;
}

/** It has 8 kB (pg_control.h, PG_CONTROL_FILE_SIZE). */
const CONTROL_MAX_BYTES = 65_536;
const READ_ATTEMPTS = 5;
const READ_PAUSE_MS = 20;

/** Rejects with `data.corrupt` when there is no readable cluster in `dataDir`, and with the error itself where dbkit is short of descriptors. */
export const readCluster = async (dataDir: string, signal: AbortSignal): Promise<Cluster> => (await readControl(dataDir, signal)).cluster;

/** The same of a backup, plain or not. */
export async function readBackupCluster(directory: string, signal: AbortSignal): Promise<Cluster> {
  const packed = join(directory, toText(PACKED_CONTROL));
  return (await readControl(directory, signal, (await isThere(packed)) ? packed : undefined)).cluster;
}

/** pg_control with its bytes, read again until its checksum is right: a running server may be writing it just now. */
export async function readControl(
  dataDir: string,
  signal: AbortSignal,
  path = join(dataDir, 'global/pg_control'),
): Promise<{ bytes: Buffer; cluster: Cluster }> {
  let problem = 'it is missing';
  for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt += 1) {
    const bytes = await readRegular(path, CONTROL_MAX_BYTES, { follow: true }).catch(unlessOwnTrouble);
    if (bytes) {
      const read = parseControlFile(bytes);
      if ('control' in read) return { bytes, cluster: toCluster(read.control) };
      problem = read.problem;
    }
    await sleep(READ_PAUSE_MS, undefined, { signal });
  }
  throw new DbkitError('data.corrupt', `pg_control of ${dataDir} cannot be used: ${problem}`, {
    hint: 'look at it with `dbkit inspect`; nothing was changed',
  });
}

const toCluster = ({ major, catalogVersion, state, walSegmentSizeBytes, ...control }: ControlFile): Cluster => ({
  systemIdentifier: control.systemIdentifier,
  major,
  versionDirectory: `PG_${major}_${catalogVersion}`,
  shutDown: state === 'shut down',
  checkpointLsn: control.checkpointLsn,
  redoLsn: control.redoLsn,
  timeline: control.timeline,
  blockSizeBytes: control.blockSizeBytes,
  blocksPerSegment: control.blocksPerSegment,
  segmentSizeBytes: walSegmentSizeBytes,
  checksums: control.checksums,
});

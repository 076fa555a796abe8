import { join } from 'node:path';
import { DbkitError } from '../../../kernel/errors.ts';
import type { System } from '../../../kernel/machine.ts';
import { unlessOwnTrouble } from '../../../kernel/own-trouble.ts';
import { openArchive } from '../../../wal/archive.ts';
import type { WalPlaces } from '../../../wal/lineage.ts';
import type { RepositoryOf } from '../../repository.ts';
import { readCluster } from '../cluster.ts';
import type { BackupRecord } from '../record.ts';
import { type Candidate, type FoundPoint, findPoint } from './find-point.ts';
import { type PointWal, pointWal } from './lay.ts';
import type { PointRequest } from './point.ts';

export interface PointsNeeds {
  readonly backupDir: string;
  readonly dataDir: string;
  readonly system: System;
  readonly repository: Pick<RepositoryOf<BackupRecord>, 'records' | 'pathOf'>;
}

/** The ways to moments of one cluster: its base backups, newest first, and the places of its WAL. */
export interface Ways {
  readonly places: WalPlaces;
  readonly currentTimeline: number;
  readonly candidates: readonly Candidate[];
}

/** Of the cluster in the data directory; where there is none that can be read, of the one that the newest base backup is of. */
export async function waysOf({ backupDir, dataDir, system, repository }: PointsNeeds, signal: AbortSignal): Promise<Ways> {
  const today = await readCluster(dataDir, signal).catch(unlessOwnTrouble);
  signal.throwIfAborted();
  const records = [...(await repository.records(signal))].reverse();
  const systemIdentifier = today?.systemIdentifier ?? records[0]?.systemIdentifier;
  const own = records.filter((record) => record.systemIdentifier === systemIdentifier);
  const [newest] = own;
  if (systemIdentifier === undefined || newest === undefined)
    throw new DbkitError('backup.missing', 'there is no base backup of this cluster, so no moment of it can be brought back', {
      hint: '`dbkit backup create` takes one; every moment after it can be reached then',
    });
  const candidates = own.map((record) => ({ record, path: repository.pathOf(record.label) }));
  const archive = openArchive(backupDir, systemIdentifier, system.files);
  const timelines = (await archive.timelines(signal)).map(({ id }) => id);
  const folders = [...(today ? [join(dataDir, 'pg_wal')] : []), ...candidates.map(({ path }) => join(path, 'pg_wal'))];
  return {
    places: { archive, folders, systemIdentifier, segmentSizeBytes: newest.walSegmentSizeBytes },
    currentTimeline: today?.timeline ?? Math.max(newest.timeline, ...timelines),
    candidates,
  };
}

/** `label`: only from that backup; undefined: from the one that serves the moment best. */
export async function pointOf(
  needs: PointsNeeds,
  request: PointRequest,
  { label }: { readonly label: string | undefined },
  signal: AbortSignal,
): Promise<FoundPoint & { wal(): Promise<PointWal> }> {
  const ways = await waysOf(needs, signal);
  const candidates = label === undefined ? ways.candidates : ways.candidates.filter(({ record }) => record.label === label);
  const found = await findPoint({ ...ways, candidates, request }, signal);
  return { ...found, wal: () => pointWal(found, ways.places) };
}

import { fromText } from '../../formats/byte-path.ts';
import { readRecords } from '../../formats/wal-reader.ts';
import { type Lsn, parseLsn } from '../../formats/wal-segment.ts';
import { type Cluster, readCluster } from './cluster.ts';
import { isQuiet } from './quiet-wal.ts';
import type { BackupRecord } from './record.ts';
import { identityOf, rollForwardStart } from './roll-forward.ts';

export interface Change {
  readonly changed: boolean;
  readonly because: string;
}

/** Where the newest backup ends; nothing of its files is looked at. */
export type Newest = Pick<
  BackupRecord,
  'label' | 'state' | 'mode' | 'fromStandby' | 'checkpointLsn' | 'stopLsn' | 'timeline' | 'systemIdentifier' | 'walSegmentSizeBytes'
>;

interface ChangeFacts {
  readonly newest: Pick<BackupRecord, 'label' | 'state' | 'mode' | 'checkpointLsn' | 'timeline' | 'systemIdentifier'> | undefined;
  readonly cluster: Pick<Cluster, 'systemIdentifier' | 'timeline' | 'checkpointLsn'>;
  /** The WAL since the backup's end holds only what an idle server writes. */
  readonly quietSince: boolean;
}

const rules: readonly [when: (facts: ChangeFacts) => boolean, changed: boolean, because: string][] = [
  [({ newest }) => newest === undefined, true, 'there is no backup yet'],
  [({ newest }) => newest?.state === 'damaged', true, 'the newest backup is damaged'],
  [({ newest, cluster }) => newest?.systemIdentifier !== cluster.systemIdentifier, true, 'the newest backup is of another cluster'],
  [({ newest, cluster }) => newest?.timeline !== cluster.timeline, true, 'the cluster is on another timeline since'],
  [
    ({ newest, cluster }) => newest?.mode === 'cold' && parseLsn(newest.checkpointLsn) === cluster.checkpointLsn,
    false,
    'the last checkpoint is the one in the newest backup',
  ],
  [({ quietSince }) => quietSince, false, 'nothing but checkpoints was written since the newest backup'],
  [() => true, true, 'the database was written to since the newest backup'],
];

/** Tells if an automatic backup is worth taking. Pure; first match wins. */
export function decideChange(facts: ChangeFacts): Change {
  const [, changed, because] = rules.find(([when]) => when(facts))!; // The last rule always matches.
  return { changed, because };
}

/** Looks at pg_control and the little WAL an idle server leaves. `newest` is the newest backup of any state. */
export async function changedSince(newest: Newest | undefined, dataDir: string, signal: AbortSignal): Promise<Change> {
  const cluster = await readCluster(dataDir, signal);
  const comparable = newest?.systemIdentifier === cluster.systemIdentifier && newest.timeline === cluster.timeline;
  return decideChange({ newest, cluster, quietSince: comparable && (await isQuietSince(newest, cluster.checkpointLsn, dataDir, signal)) });
}

/**
 * Every record from the backup's end on, which an idle server leaves within a few pages: to the last checkpoint, or, where the backup's own is
 * still the last, to the end.
 */
async function isQuietSince(record: Newest, checkpoint: Lsn, dataDir: string, signal: AbortSignal): Promise<boolean> {
  const start = rollForwardStart(record);
  let reached = start;
  let quiet = true;
  await readRecords(fromText(`${dataDir}/pg_wal`), identityOf(record), start, signal, (next) => {
    reached = next.lsn;
    quiet &&= isQuiet(next);
    return quiet && (checkpoint < start || next.lsn < checkpoint);
  });
  return quiet && reached >= checkpoint;
}

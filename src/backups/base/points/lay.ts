import { setImmediate as turn } from 'node:timers/promises';
import { type BytePath, fromText, join, toBytes, toText } from '../../../formats/byte-path.ts';
import { readRecords } from '../../../formats/wal-reader.ts';
import { formatLsn, parseLsn, segmentRange } from '../../../formats/wal-segment.ts';
import { DbkitError } from '../../../kernel/errors.ts';
import type { Identity } from '../../../kernel/machine.ts';
import { isThere } from '../../../machine/is-there.ts';
import type { WalArchive } from '../../../wal/contract.ts';
import { historyFile } from '../../../wal/layout.ts';
import { historiesOf, openLineage, type WalPlaces } from '../../../wal/lineage.ts';
import { writeNew } from '../../durable-tree.ts';
import type { RollForward } from '../roll-forward.ts';
import type { FoundPoint } from './find-point.ts';

/** The WAL behind a backup that leads to a moment, ready to be laid into a restored pg_wal. */
export interface PointWal {
  readonly rolled: RollForward;
  readonly walFrom: undefined;
  /** Writes segments and histories, and reads them again up to where replay stops. Rejects with `wal.damaged` where that is not reached. */
  lay(target: BytePath, options: { readonly mode: number; readonly owner: Identity | undefined }, signal: AbortSignal): Promise<void>;
}

export async function pointWal(found: FoundPoint, places: WalPlaces): Promise<PointWal> {
  const { lineage, followed, first, last, record, plan } = found;
  const { segmentSizeBytes } = places;
  const segments = last < first ? [] : segmentRange(first, last);
  const named: { readonly segment: bigint; readonly name: string }[] = [];
  for (const segment of segments) {
    const name = await lineage.nameOf(segment);
    if (name !== undefined) named.push({ segment, name });
  }
  const rolled: RollForward = {
    segments: named.map(({ name }) => name),
    complete: false, // It goes on as a timeline of its own: what is behind the moment has names already.
    end: followed.end,
    lastCommitAt: followed.lastCommit && new Date(Number(followed.lastCommit.atMicros / 1000n)),
    createsTablespaces: followed.createsTablespaces,
    stopBefore: followed.stopBefore,
    owed: undefined,
    timeline: lineage.timeline,
    endsInArchive: false,
  };
  return {
    rolled,
    walFrom: undefined,
    async lay(target, options, signal) {
      for (const { segment, name } of named) {
        await turn();
        signal.throwIfAborted();
        const bytes = await lineage.bytes(segment);
        if (bytes === undefined) throw gone(name);
        const rest = Buffer.alloc(Math.max(0, segmentSizeBytes - bytes.length)); // The server restores no segment that is not whole.
        await writeNew(join(target, fromText(name)), Buffer.concat([bytes, rest]), options);
        // The server that wrote it has archived it, if it archives at all; this one must not do so under another history.
        await writeNew(join(target, fromText(`archive_status/${name}.done`)), '', options);
      }
      // Histories of every timeline: the server needs those on its way, and must not choose the number of another one.
      for (const [timeline, text] of await historiesOf(places, signal)) {
        const path = join(target, fromText(historyFile(timeline)));
        if (!(await isThere(toBytes(path)))) await writeNew(path, text, options);
      }
      const identity = { systemIdentifier: record.systemIdentifier, timeline: lineage.timeline, segmentSizeBytes };
      const start = parseLsn(record.mode === 'cold' ? record.checkpointLsn : record.startLsn);
      const until = followed.stopBefore;
      let reached = until === undefined;
      const laid = await openLineage({ ...places, archive: nothing(places.archive), folders: [toText(target)] }, lineage.timeline, signal);
      const read = await readRecords(laid.bytes, identity, start, signal, (one) => {
        reached ||= one.lsn === until;
        return until === undefined || one.lsn < until;
      });
      if (!reached || read.end < followed.end) throw gone(`up to ${plan.stopBefore ?? formatLsn(followed.end)}`);
    },
  };
}

/** Only what was laid counts. */
const nothing = (archive: WalArchive): WalArchive => ({ ...archive, timelines: async () => [] });

const gone = (what: string): DbkitError =>
  new DbkitError('wal.damaged', `the WAL ${what} changed or went away while it was copied`, {
    hint: 'start the restore again; nothing was changed',
  });

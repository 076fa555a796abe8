import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { transactionEnd } from '../formats/transaction-record.ts';
import { twoPhaseFile } from '../formats/two-phase.ts';
import { mainDataOf, RM_XACT, readWal, type WalRecord } from '../formats/wal-reader.ts';
import type { Finding } from './findings.ts';
import { STATE_FILE, stateFileXid } from './prepared.ts';
import type { Reached } from './reached.ts';
import { hasEnded } from './status-bits.ts';
import type { Walk } from './walk.ts';

/**
 * State files of prepared transactions that were there when the mark was written, and are gone after a crash, though nothing in the WAL since has
 * finished the transaction or prepares it once more. A server starts without them and says nothing. Where the WAL since the mark cannot be read,
 * nothing is said either.
 */
export async function inspectLostPrepared(
  dataDir: string,
  { entries }: Walk,
  control: ControlFile,
  reached: Reached | undefined,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { systemIdentifier, timeline, walSegmentSizeBytes: segmentSizeBytes, redoLsn, major } = control;
  if (reached === undefined || reached.systemIdentifier !== systemIdentifier || reached.timeline !== timeline) return [];
  const missing = new Map(
    reached.prepared
      .map((name) => `pg_twophase/${name}`)
      .filter((path) => STATE_FILE.test(path) && !entries.has(path) && !hasEnded(dataDir, stateFileXid(path)))
      .map((path) => [stateFileXid(path), path]),
  );
  if (missing.size === 0) return [];
  // A state file may outlive its COMMIT, where that waits for a synchronous standby: what ended before the checkpoint is in pg_xact, the rest is read.
  const isOfBefore = reached.lastRecordLsn < redoLsn;
  const from = isOfBefore ? reached.lastRecordLsn : redoLsn;
  const visit = (record: WalRecord): boolean => {
    if (record.manager === RM_XACT) missing.delete(spokenOf(record, major));
    return missing.size > 0;
  };
  const {
    end,
    broken,
    missing: isCut,
  } = await readWal(fromText(join(dataDir, 'pg_wal')), { systemIdentifier, timeline, segmentSizeBytes }, from, signal, visit);
  if (missing.size === 0 || broken || isCut || end <= reached.lastRecordLsn || end <= redoLsn) return [];
  return [...missing.values()].map((path) => ({
    code: 'prepared.damaged',
    path,
    evidence: `the file is gone, and the WAL since ${reached.at} does not finish its transaction`,
    severity: 'certain',
  }));
}

/** The transaction that a record finishes or prepares; -1 for none. */
function spokenOf({ info, xid, bytes }: WalRecord, major: number): number {
  const main = Buffer.from(mainDataOf(bytes));
  return transactionEnd(info, xid, main, major)?.xid ?? twoPhaseFile(main)?.xid ?? -1;
}

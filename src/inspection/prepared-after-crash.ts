import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { transactionEnd } from '../formats/transaction-record.ts';
import { twoPhaseFile } from '../formats/two-phase.ts';
import { mainDataOf, RM_XACT, readWal, type WalRecord } from '../formats/wal-reader.ts';
import type { Lsn } from '../formats/wal-segment.ts';
import type { Finding } from './findings.ts';
import { STATE_FILE, stateFileXid } from './prepared.ts';
import type { Reached } from './reached.ts';
import { hasEnded } from './status-bits.ts';
import type { Walk } from './walk.ts';

/** As much WAL as is read before what recovery reads, for transactions that the mark does not know: what lies between two checkpoints, as a rule. */
const BEFORE_BYTES = 1024n * 1024n * 1024n;

/**
 * State files of prepared transactions that are gone after a crash: those that were there when the mark was written, and those that a checkpoint has
 * written since, though nothing in the WAL has finished their transactions or prepares them once more where recovery reads it. A server starts
 * without them and says nothing. The WAL is read from the checkpoint on that was known when the mark was written, as what had no file then was
 * prepared after it; from the mark on where that is gone or too much. Where even that cannot be read, nothing is said.
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
  const owed = reached.prepared
    .map((name) => `pg_twophase/${name}`)
    .filter((path) => STATE_FILE.test(path) && !entries.has(path) && !hasEnded(dataDir, stateFileXid(path)));
  const notedLsn = reached.notedLsn ?? reached.lastRecordLsn;
  const isOfBefore = notedLsn < redoLsn; // A checkpoint came after it, and wrote state files that it does not know.
  const isAffordable = (from: Lsn): boolean => redoLsn - from <= BEFORE_BYTES;
  const mayKnowMore = isOfBefore && control.settings.maxPreparedXacts > 0;
  // A state file may outlive its COMMIT, where that waits for a synchronous standby: what ended before the checkpoint is in pg_xact, the rest is read.
  const known = mayKnowMore ? [reached.redoLsn ?? notedLsn, notedLsn].filter(isAffordable) : [];
  const starts = new Set([...known, ...(owed.length > 0 ? [isOfBefore ? notedLsn : redoLsn] : [])]);
  for (const from of starts) {
    const missing = new Map(owed.map((path) => [stateFileXid(path), path]));
    const visit = ({ manager, lsn, info, xid, bytes }: WalRecord): boolean => {
      if (manager === RM_XACT) {
        const main = Buffer.from(mainDataOf(bytes));
        const ended = transactionEnd(info, xid, main, major)?.xid;
        const begun = ended === undefined ? twoPhaseFile(main)?.xid : undefined;
        const path = begun !== undefined && lsn < redoLsn ? stateFile(begun, control) : undefined;
        if (begun !== undefined && path !== undefined && !entries.has(path)) missing.set(begun, path);
        else missing.delete(ended ?? begun ?? -1);
      }
      return missing.size > 0 || lsn < redoLsn;
    };
    const folder = fromText(join(dataDir, 'pg_wal'));
    const { end, broken, missing: isCut } = await readWal(folder, { systemIdentifier, timeline, segmentSizeBytes }, from, signal, visit);
    if (broken || isCut || end <= notedLsn || end <= redoLsn) continue;
    return [...missing.values()].map((path) => ({
      code: 'prepared.damaged',
      path,
      evidence: `the file is gone, and the WAL since ${reached.at} does not finish its transaction`,
      severity: 'certain',
    }));
  }
  return [];
}

/** The state file of a transaction: 8 digits of its number, since 17 all 16 with its epoch (twophase.c, TwoPhaseFilePath). */
function stateFile(xid: number, { major, nextXid }: ControlFile): string {
  const of = (number: bigint, digits: number): string => `pg_twophase/${number.toString(16).toUpperCase().padStart(digits, '0')}`;
  if (major < 17) return of(BigInt(xid), 8);
  const [epoch, next] = [nextXid >> 32n, nextXid & 0xffffffffn];
  return of(((BigInt(xid) < next ? epoch : epoch - 1n) << 32n) | BigInt(xid), 16);
}

import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import { type ControlFile, parseControlFile } from '../formats/control-file.ts';
import { RM_XACT } from '../formats/wal-reader.ts';
import { parseLsn, segmentOf, WAL_PAGE_BYTES } from '../formats/wal-segment.ts';
import { readFromPage } from '../formats/wal-tip.ts';
import { errnoOf } from '../kernel/errors.ts';
import { readPlainSync } from '../machine/plain-file.ts';
import type { Finding } from './findings.ts';
import { type Kept, keptBytes } from './kept.ts';
import { RELATION } from './relations.ts';
import type { Walk } from './walk.ts';

const PAGE_BYTES = 8192;
const XIDS_PER_PAGE = PAGE_BYTES * 4; // Two bits each (clog.c).
const XIDS_PER_SEGMENT = XIDS_PER_PAGE * 32;
const MULTIS_PER_SEGMENT = (PAGE_BYTES / 4) * 32;
const SUB_COMMITTED = 3;
const COMMITTED = 1; // TRANSACTION_STATUS_COMMITTED; 0 is in progress, which after a crash is as good as aborted.

const xactFile = (xid: number): string =>
  `pg_xact/${Math.floor(xid / XIDS_PER_SEGMENT)
    .toString(16)
    .toUpperCase()
    .padStart(4, '0')}`;
const statusOf = (bytes: Buffer, xid: number): number => {
  const at = xid % XIDS_PER_SEGMENT;
  return ((bytes[at >> 2] ?? 0) >> ((at & 3) * 2)) & 3;
};

/** False only for a transaction that is known not to have committed; call it of a cluster that was shut down. */
export function mayHaveCommitted(dataDir: string, xid: number): boolean {
  const bytes = bytesOf(dataDir, xactFile(xid));
  return bytes === undefined || [COMMITTED, SUB_COMMITTED].includes(statusOf(bytes, xid));
}

/** True where pg_xact says that it committed or was rolled back; of what has ended since the last checkpoint it need not know. */
export function hasEnded(dataDir: string, xid: number): boolean {
  const bytes = bytesOf(dataDir, xactFile(xid));
  return bytes !== undefined && statusOf(bytes, xid) !== 0;
}

/** The sources for the status files. */
export interface StatusWitnesses {
  readonly stateDir: string;
  readonly kept: Kept | undefined;
  /** No server has run since the copies were kept. */
  readonly isMoment: boolean;
}

/**
 * Tells if the transaction status says what it must: the very bytes of the last clean shutdown where no server has run since; else every
 * transaction that had committed by then has committed still, so has every one whose commit lies in the WAL before the checkpoint, and no page
 * is empty whose transactions left rows that are known as committed. One segment of each kind is read, the one in use.
 */
export async function inspectStatus(
  dataDir: string,
  seen: Walk,
  control: ControlFile,
  witnesses: StatusWitnesses,
  signal: AbortSignal,
): Promise<Finding[]> {
  const lastXid = Number((control.nextXid - 1n) & 0xffffffffn);
  const path = xactFile(lastXid);
  const bytes = bytesOf(dataDir, path);
  const because =
    bytes &&
    ((await againstKept(bytes, path, control, witnesses)) ??
      (await againstWal(dataDir, bytes, path, control, witnesses, signal)) ??
      emptyPage(dataDir, seen, bytes, control.state === 'shut down' ? lastXid : Math.min(lastXid, control.oldestActiveXid - 1)));
  const findings: Finding[] = because === undefined ? [] : [damaged(path, because)];
  const multi = `pg_multixact/offsets/${Math.floor(Math.max(control.nextMulti - 1, 0) / MULTIS_PER_SEGMENT)
    .toString(16)
    .toUpperCase()
    .padStart(4, '0')}`;
  const offsets = bytesOf(dataDir, multi);
  const differs = offsets && (await offsetsAgainstKept(offsets, multi, control, witnesses));
  return differs === undefined ? findings : [...findings, damaged(multi, differs)];
}

const damaged = (path: string, evidence: string): Finding => ({ code: 'slru.damaged', path, evidence, severity: 'certain' });

/** Undefined where it is missing, which another check tells. */
function bytesOf(dataDir: string, path: string): Buffer | undefined {
  try {
    return readPlainSync(join(dataDir, path));
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    return undefined;
  }
}

const NOT_AS_KEPT = 'its bytes are not those of the last clean shutdown';
const differsFrom = (bytes: Buffer, digest: string | undefined): boolean =>
  digest !== undefined && createHash('sha256').update(bytes).digest('hex') !== digest;

/** The copies that were kept, where they are this cluster's, of its past. */
function keptOf({ systemIdentifier, timeline, checkpointLsn }: ControlFile, { kept }: StatusWitnesses): StatusWitnesses['kept'] {
  const isOfItsPast =
    kept?.systemIdentifier === systemIdentifier && kept.timeline === timeline && parseLsn(kept.checkpointLsn) <= checkpointLsn;
  return isOfItsPast ? kept : undefined;
}

async function againstKept(bytes: Buffer, path: string, control: ControlFile, witnesses: StatusWitnesses): Promise<string | undefined> {
  const copies = keptOf(control, witnesses);
  if (!copies) return undefined;
  if (witnesses.isMoment) return differsFrom(bytes, copies.digests.get(path)) ? NOT_AS_KEPT : undefined;
  const then = await keptBytes(witnesses.stateDir, copies, path);
  if (!then) return undefined;
  for (let at = 0; at < then.length; at += 1) {
    const was = then[at]!;
    if (was === 0 || was === bytes[at]) continue;
    for (let pair = 0; pair < 4; pair += 1) {
      const [before, now] = [(was >> (pair * 2)) & 3, ((bytes[at] ?? 0) >> (pair * 2)) & 3];
      if (before === COMMITTED && now !== COMMITTED)
        return `the ${at * 4 + pair}th transaction in it had committed at the last clean shutdown, and by this file it has not`;
    }
  }
  return undefined;
}

/** The offset of a multixact never changes once it is made. */
async function offsetsAgainstKept(
  bytes: Buffer,
  path: string,
  control: ControlFile,
  witnesses: StatusWitnesses,
): Promise<string | undefined> {
  const copies = keptOf(control, witnesses);
  if (!copies) return undefined;
  if (witnesses.isMoment) return differsFrom(bytes, copies.digests.get(path)) ? NOT_AS_KEPT : undefined;
  const { stateDir } = witnesses;
  const [then, keptControl] = [await keptBytes(stateDir, copies, path), await keptBytes(stateDir, copies, 'global/pg_control')];
  const read = keptControl && parseControlFile(keptControl);
  if (!then || !read || !('control' in read)) return undefined;
  const made = (read.control.nextMulti % MULTIS_PER_SEGMENT) * 4;
  return then.subarray(0, made).equals(bytes.subarray(0, made)) ? undefined : 'multixacts in it are not those of the last clean shutdown';
}

const WAL_READ_BYTES = 1024 * 1024; // A few milliseconds; the copies that were kept tell of what is older.
const XACT_COMMIT = 0x00;

/** Commits shortly before the checkpoint's redo position, in its segment: all of them are in the status files since that checkpoint. */
async function againstWal(
  dataDir: string,
  bytes: Buffer,
  path: string,
  control: ControlFile,
  { isMoment }: StatusWitnesses,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { timeline, systemIdentifier, walSegmentSizeBytes: segmentSizeBytes, redoLsn } = control;
  if (isMoment) return undefined;
  const begin = segmentOf(redoLsn, segmentSizeBytes) * BigInt(segmentSizeBytes);
  const before = redoLsn - (redoLsn % BigInt(WAL_PAGE_BYTES)) - BigInt(WAL_READ_BYTES);
  let wrong: string | undefined;
  const identity = { timeline, systemIdentifier, segmentSizeBytes };
  await readFromPage(fromText(join(dataDir, 'pg_wal')), before > begin ? before : begin, identity, signal, (record) => {
    if (record.lsn >= redoLsn) return false;
    const commits = record.manager === RM_XACT && (record.info & 0x70) === XACT_COMMIT && record.xid !== 0;
    if (commits && xactFile(record.xid) === path && statusOf(bytes, record.xid) !== COMMITTED)
      wrong = `the WAL says that transaction ${record.xid} committed, and by this file it has not`;
    return wrong === undefined;
  });
  return wrong;
}

/** Pages that hold nothing: damage where rows say that their transactions committed. A crash alone can leave a page of transactions that did not end. */
function emptyPage(dataDir: string, seen: Walk, bytes: Buffer, lastXid: number): string | undefined {
  const base = Math.floor(lastXid / XIDS_PER_SEGMENT) * XIDS_PER_SEGMENT;
  for (let page = 0; page * PAGE_BYTES < bytes.length; page += 1) {
    const from = base + page * XIDS_PER_PAGE;
    if (from > lastXid) return undefined;
    const held = bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (held.some((byte) => byte !== 0)) continue;
    const proof = committedRow(dataDir, seen, from, Math.min(from + XIDS_PER_PAGE - 1, lastXid));
    if (proof !== undefined) return `page ${page} holds zeros only, but ${proof}`;
  }
  return undefined;
}

const FILES_ASKED = 24;
const BYTES_ASKED = 512 * 1024;
const XMIN_COMMITTED = 0x0100; // HEAP_XMIN_COMMITTED; set in frozen rows too.

/** A row whose own hint says that a transaction in this range has committed, in the catalogs and the files written to last. */
function committedRow(dataDir: string, { entries }: Walk, fromXid: number, toXid: number): string | undefined {
  const files = [...entries.values()]
    .filter(({ path, kind, sizeBytes }) => kind === 'file' && sizeBytes >= PAGE_BYTES && /\/\d+$/.test(path) && RELATION.test(path))
    .sort((a, b) => Number(isCatalog(b.path)) - Number(isCatalog(a.path)) || b.mtimeMs - a.mtimeMs)
    .slice(0, FILES_ASKED);
  const buffer = Buffer.alloc(BYTES_ASKED);
  for (const { path } of files) {
    const file = openSync(join(dataDir, path), 'r');
    let length = 0;
    try {
      length = readSync(file, buffer, 0, BYTES_ASKED, 0);
    } finally {
      closeSync(file);
    }
    for (let at = 0; at + PAGE_BYTES <= length; at += PAGE_BYTES) {
      const xid = committedIn(buffer.subarray(at, at + PAGE_BYTES), fromXid, toXid);
      if (xid !== undefined) return `a row in page ${at / PAGE_BYTES} of ${path} says that transaction ${xid} committed`;
    }
  }
  return undefined;
}

const isCatalog = (path: string): boolean => /\/(1259|1249|1262)$/.test(path);

/** The first transaction that a heap page's rows know as committed (htup_details.h, bufpage.h); undefined for other pages. */
function committedIn(page: Buffer, fromXid: number, toXid: number): number | undefined {
  const [lower, upper, special] = [page.readUInt16LE(12), page.readUInt16LE(14), page.readUInt16LE(16)];
  if (lower < 28 || lower > upper || upper > special || special !== PAGE_BYTES) return undefined; // Indexes and sequences have a special part.
  for (let item = 24; item + 4 <= lower; item += 4) {
    const pointer = page.readUInt32LE(item);
    const [offset, flags, length] = [pointer & 0x7fff, (pointer >> 15) & 3, pointer >>> 17];
    if (flags !== 1 || length < 24 || offset < upper || offset + length > PAGE_BYTES) continue;
    const headerBytes = page[offset + 22]!;
    if (headerBytes < 24 || headerBytes > length || headerBytes % 8 !== 0) continue;
    const xmin = page.readUInt32LE(offset);
    if (xmin >= Math.max(fromXid, 3) && xmin <= toXid && (page.readUInt16LE(offset + 20) & XMIN_COMMITTED) !== 0) return xmin;
  }
  return undefined;
}

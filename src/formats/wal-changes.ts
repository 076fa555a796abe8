import type { WalRecord } from './wal-reader.ts';

/** A relation's files by number: tablespace, database (0: shared), file node (relfilelocator.h). */
export interface RelationFile {
  readonly tablespace: number;
  readonly database: number;
  readonly node: number;
}

/** One change that a WAL record makes to the files of relations. */
export type WalChange =
  /** `bindsLsn`: replaying it leaves its own end as the page's LSN, so a page on disk that is older has lost it. */
  | { readonly kind: 'page'; readonly file: RelationFile; readonly fork: number; readonly block: number; readonly bindsLsn: boolean }
  | { readonly kind: 'create'; readonly file: RelationFile; readonly fork: number }
  | { readonly kind: 'drop'; readonly file: RelationFile }
  | { readonly kind: 'truncate'; readonly file: RelationFile; readonly blocks: number }
  /** A database was made by copying files: the WAL names none of its pages. */
  | { readonly kind: 'copy-database'; readonly database: number }
  /** `wal_level = minimal`: what is filled in the transaction that made it is not in the WAL. */
  | { readonly kind: 'minimal' };

export const MAIN_FORK = 0;
const RECORD_HEADER_BYTES = 24;
const XLOG_PARAMETER_CHANGE = 0x60;
const XLOG_FPI = 0xb0;
const PG_15_MAGIC = 0xd110;
/** rmgrlist.h. */
const manager = { xlog: 0, xact: 1, smgr: 2, database: 4, heap2: 9, hash: 12, lastOfCore: 21 } as const;

/** Every change that a record names (xlogrecord.h, and the record's own header file), in the order of the record. */
export function changesOf(record: WalRecord): WalChange[] {
  const { bytes } = record;
  const changes: WalChange[] = [];
  const main = readHeaders(record, changes);
  const data = bytes.subarray(bytes.length - main);
  if (record.manager === manager.smgr) changes.push(...storageChanges(record.info, data));
  else if (record.manager === manager.xact) changes.push(...dropsOf(bytes.readUInt8(16), data));
  else if (record.manager === manager.database && record.info === 0x00 && data.length >= 4)
    changes.push({ kind: 'copy-database', database: data.readUInt32LE(0) });
  else if (record.manager === manager.xlog && record.info === XLOG_PARAMETER_CHANGE && data.length >= 24 && data.readInt32LE(20) === 0)
    changes.push({ kind: 'minimal' });
  return changes;
}

interface Image {
  readonly lengthBytes: number;
  readonly isCompressed: boolean;
  /** Which of the pages in `changes` it belongs to. */
  readonly of: number;
}

/** The headers in front of a record's data; how many bytes its main data has. */
function readHeaders(record: WalRecord, changes: WalChange[]): number {
  const { bytes, magic } = record;
  const images: Image[] = [];
  let file: RelationFile | undefined;
  let [at, dataBytes, main] = [RECORD_HEADER_BYTES, 0, 0];
  while (bytes.length - at > dataBytes) {
    const id = bytes[at]!;
    if (id === 253)
      at += 3; // Replication origin.
    else if (id === 252)
      at += 5; // Top-level transaction.
    else if (id === 255) {
      main = bytes[at + 1]!;
      at += 2;
      dataBytes += main;
    } else if (id === 254) {
      main = bytes.readUInt32LE(at + 1);
      at += 5;
      dataBytes += main;
    } else {
      const flags = bytes[at + 1]!;
      dataBytes += bytes.readUInt16LE(at + 2);
      at += 4;
      if ((flags & 0x10) !== 0) {
        const [lengthBytes, info] = [bytes.readUInt16LE(at), bytes[at + 4]!];
        const isCompressed = (info & (magic >= PG_15_MAGIC ? 0x1c : 0x02)) !== 0;
        at += isCompressed && (info & 0x01) !== 0 ? 7 : 5; // A hole's length is told only where it does not follow from the image's.
        dataBytes += lengthBytes;
        images.push({ lengthBytes, isCompressed, of: changes.length });
      }
      if ((flags & 0x80) === 0) {
        file = { tablespace: bytes.readUInt32LE(at), database: bytes.readUInt32LE(at + 4), node: bytes.readUInt32LE(at + 8) };
        at += 12;
      }
      const block = bytes.readUInt32LE(at);
      at += 4;
      if (file) changes.push({ kind: 'page', file, fork: flags & 0x0f, block, bindsLsn: bindsLsn(record, id) });
    }
  }
  if (record.manager === manager.xlog && record.info === XLOG_FPI) looseImages(bytes, at, images, changes);
  return main;
}

/**
 * Setting a visibility bit leaves the heap page's LSN alone in some cases (heapam.c), hash indexes register pages only to lock them
 * (hash_xlog.c), and of an extension's records nothing is known.
 */
const bindsLsn = ({ manager: by, info }: WalRecord, id: number): boolean =>
  !(by === manager.heap2 && info === 0x40 && id === 1) && by !== manager.hash && by <= manager.lastOfCore;

/** An image may be that of a page which holds nothing yet; that one bears no LSN (xloginsert.c, log_newpage). */
function looseImages(bytes: Buffer, dataAt: number, images: readonly Image[], changes: WalChange[]): void {
  const SMALL_BYTES = 256;
  let at = dataAt;
  for (const { lengthBytes, isCompressed, of } of images) {
    const image = bytes.subarray(at, at + lengthBytes);
    const change = changes[of];
    const mayBeEmpty = isCompressed ? lengthBytes < SMALL_BYTES : image.subarray(0, 24).every((byte) => byte === 0);
    if (change?.kind === 'page' && mayBeEmpty) changes[of] = { ...change, bindsLsn: false };
    at += lengthBytes;
  }
}

const fileAt = (data: Buffer, at: number): RelationFile => ({
  tablespace: data.readUInt32LE(at),
  database: data.readUInt32LE(at + 4),
  node: data.readUInt32LE(at + 8),
});

/** storage_xlog.h: xl_smgr_create and xl_smgr_truncate. */
function storageChanges(info: number, data: Buffer): WalChange[] {
  if (info === 0x10 && data.length >= 16) return [{ kind: 'create', file: fileAt(data, 0), fork: data.readInt32LE(12) }];
  if (info === 0x20 && data.length >= 20 && (data.readInt32LE(16) & 1) !== 0)
    return [{ kind: 'truncate', file: fileAt(data, 4), blocks: data.readUInt32LE(0) }];
  return [];
}

/** xact.h: the relations that the end of a transaction removes, behind its time, its flags, its database and its subtransactions. */
function dropsOf(info: number, data: Buffer): WalChange[] {
  const operation = info & 0x70;
  if (![0x00, 0x20, 0x30, 0x40].includes(operation) || (info & 0x80) === 0 || data.length < 12) return [];
  const flags = data.readUInt32LE(8);
  let at = 12;
  if ((flags & 1) !== 0) at += 8;
  if ((flags & 2) !== 0) at += 4 + data.readInt32LE(at) * 4;
  if ((flags & 4) === 0) return [];
  const count = data.readInt32LE(at);
  return Array.from({ length: count }, (_, index) => ({ kind: 'drop', file: fileAt(data, at + 4 + index * 12) }) as const);
}

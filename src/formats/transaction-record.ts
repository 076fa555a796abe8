import type { RelationFile } from './wal-record.ts';

/** How a transaction ended, as its record says. */
export interface TransactionEnd {
  readonly kind: 'commit' | 'abort';
  readonly xid: number;
  readonly isPrepared: boolean;
  /** Microseconds since 1970, UTC. */
  readonly atMicros: bigint;
  readonly subtransactions: readonly number[];
  /** Files that are removed with it: of dropped relations, or of ones that were written anew. */
  readonly files: readonly RelationFile[];
}

const OPERATION = 0x70;
const HAS_INFO = 0x80;
const operations = new Map<number, Pick<TransactionEnd, 'kind' | 'isPrepared'>>([
  [0x00, { kind: 'commit', isPrepared: false }],
  [0x20, { kind: 'abort', isPrepared: false }],
  [0x30, { kind: 'commit', isPrepared: true }],
  [0x40, { kind: 'abort', isPrepared: true }],
]);
/** xact.h: what follows the time. */
const has = { database: 1, subtransactions: 2, files: 4, messages: 8, prepared: 16, droppedStatistics: 256 } as const;
const FILE_BYTES = 12;
const MESSAGE_BYTES = 16; // sizeof(SharedInvalidationMessage)

/** 2000-01-01 in microseconds since 1970. */
export const EPOCH_MICROS = 946_684_800_000_000n;

/**
 * A record of the resource manager of transactions (xactdesc.c, ParseCommitRecord and ParseAbortRecord), of PostgreSQL 13 to 18; undefined for
 * one that ends none. The counted lists stand one after the other; since 15 those of dropped statistics stand before the messages.
 */
export function transactionEnd(info: number, xid: number, main: Buffer, major: number): TransactionEnd | undefined {
  const operation = operations.get(info & OPERATION);
  if (!operation) return undefined;
  const atMicros = main.readBigInt64LE(0) + EPOCH_MICROS;
  let at = 8;
  const flags = (info & HAS_INFO) === 0 ? 0 : main.readUInt32LE(at);
  if ((info & HAS_INFO) !== 0) at += 4;
  if ((flags & has.database) !== 0) at += 8;
  const counted = <T>(flag: number, bytes: number, item: (offset: number) => T): T[] => {
    if ((flags & flag) === 0) return [];
    const count = main.readInt32LE(at);
    if (count < 0 || at + 4 + count * bytes > main.length) throw new RangeError(`${count} items in the end of transaction ${xid}`);
    const items = Array.from({ length: count }, (_, index) => item(at + 4 + index * bytes));
    at += 4 + count * bytes;
    return items;
  };
  const subtransactions = counted(has.subtransactions, 4, (offset) => main.readUInt32LE(offset));
  const files = counted(has.files, FILE_BYTES, (offset) => ({
    tablespace: main.readUInt32LE(offset),
    database: main.readUInt32LE(offset + 4),
    file: main.readUInt32LE(offset + 8),
  }));
  counted(has.droppedStatistics, major >= 18 ? 16 : 12, () => undefined); // The object's number has 8 bytes since 18.
  if (operation.kind === 'commit') counted(has.messages, MESSAGE_BYTES, () => undefined);
  const own = (flags & has.prepared) === 0 ? xid : main.readUInt32LE(at);
  return { ...operation, xid: own, atMicros, subtransactions, files };
}

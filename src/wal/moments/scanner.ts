import { EPOCH_MICROS, transactionEnd } from '../../formats/transaction-record.ts';
import type { WalRecord } from '../../formats/wal-reader.ts';
import { partsOf } from '../../formats/wal-record.ts';
import type { Catalog } from './catalog.ts';
import { type Changes, destructionOf, noChanges } from './changes.ts';
import { learnInserted, learnUpdated } from './learn-rows.ts';
import type { Moment } from './moment.ts';

/** Resource managers (rmgrlist.h) and their operations, alike in PostgreSQL 13 to 18 but for one. */
const manager = { xlog: 0, transaction: 1, storage: 2, database: 4, relationMap: 7, heap: 10 } as const;
const xlog = { shutdownCheckpoint: 0x00, restorePoint: 0x70, endOfRecovery: 0x90 } as const;
const heap = { insert: 0x00, delete: 0x10, update: 0x20, hotUpdate: 0x40 } as const;
const HEAP_OPERATION = 0x70;
const STORAGE_CREATE = 0x10;
const RESTORE_POINT_NAME = [8, 72] as const; // xl_restore_point: a time, then 64 bytes.
const CHECKPOINT_TIME_AT = 64; // CheckPoint.time, seconds since 1970 (pg_control.h)
const RELATION_MAP_AT = 12; // xl_relmap_update: database, tablespace, length, then the map.

/** Reads moments out of WAL, record by record in their order. It remembers open transactions, and learns the names of what they make. */
export function createScanner(catalog: Catalog, major: number): (record: WalRecord) => Moment | undefined {
  const open = new Map<number, Changes>();
  const changesOf = (xid: number): Changes => {
    const found = open.get(xid) ?? noChanges();
    open.set(xid, found);
    return found;
  };

  function transaction({ lsn, info, xid, bytes }: WalRecord): Moment | undefined {
    const end = transactionEnd(info, xid, partsOf(bytes, major).main, major);
    if (!end) return undefined;
    const all = [end.xid, ...end.subtransactions];
    const changes = all.map((one) => open.get(one)).filter((one) => one !== undefined);
    for (const one of all) open.delete(one);
    const destruction = end.kind === 'commit' ? destructionOf(changes, end, catalog) : undefined;
    const { kind, subtransactions, atMicros } = end;
    return { kind, lsn, xid: end.xid, subtransactions, atMicros, destruction };
  }

  function tuple({ info, xid, bytes }: WalRecord): void {
    const operation = info & HEAP_OPERATION;
    const known = operation === heap.insert || operation === heap.delete || operation === heap.update || operation === heap.hotUpdate;
    if (!known) return;
    const { blocks, main } = partsOf(bytes, major);
    const [first] = blocks;
    if (!first) return;
    const { database, file } = first.relation;
    if (operation === heap.delete && catalog.isClass(database, file)) {
      const old = catalog.bytesAt(database, file, { block: first.block, item: main.readUInt16LE(4) });
      changesOf(xid).dropped.push({ database, row: old && catalog.relation(database, old.readUInt32LE(0)) });
    } else if (operation === heap.delete) {
      count(changesOf(xid), database, file);
    } else if (operation !== heap.insert && catalog.follows(database, file)) {
      learnUpdated(catalog, first, blocks[1] ?? first, main);
    } else if (catalog.follows(database, file)) {
      const made = learnInserted(catalog, first, main);
      if (made !== undefined) changesOf(xid).made.add(`${database}/${made}`);
    }
  }

  return (record) => {
    const { manager: who, info, xid, lsn, bytes } = record;
    if (who === manager.transaction) return transaction(record);
    if (who === manager.heap) tuple(record);
    else if (who === manager.storage && info === STORAGE_CREATE && xid !== 0) changesOf(xid).newFiles += 1;
    else if (who === manager.database && info === (major >= 15 ? 0x20 : 0x10))
      changesOf(xid).droppedDatabase = partsOf(bytes, major).main.readUInt32LE(0);
    else if (who === manager.relationMap && info === 0) {
      const { main } = partsOf(bytes, major);
      catalog.remap(main.readUInt32LE(0), main.subarray(RELATION_MAP_AT));
    } else if (who === manager.xlog) return milestone(lsn, info, partsOf(bytes, major).main);
    return undefined;
  };
}

function count(changes: Changes, database: number, file: number): void {
  const key = `${database}/${file}`;
  const found = changes.deleted.get(key);
  if (found) found.rows += 1;
  else changes.deleted.set(key, { database, file, rows: 1 });
}

function milestone(lsn: bigint, info: number, main: Buffer): Moment | undefined {
  if (info === xlog.restorePoint) {
    const name = main.subarray(...RESTORE_POINT_NAME);
    const end = name.indexOf(0);
    return {
      kind: 'restore-point',
      lsn,
      name: name.toString('utf8', 0, end < 0 ? name.length : end),
      atMicros: main.readBigInt64LE(0) + EPOCH_MICROS,
    };
  }
  if (info === xlog.endOfRecovery) {
    const [timeline, previous] = [main.readUInt32LE(8), main.readUInt32LE(12)];
    return { kind: 'timeline', lsn, timeline, previous, atMicros: main.readBigInt64LE(0) + EPOCH_MICROS };
  }
  if (info !== xlog.shutdownCheckpoint) return undefined;
  const [timeline, previous] = [main.readUInt32LE(8), main.readUInt32LE(12)];
  const atMicros = main.readBigInt64LE(CHECKPOINT_TIME_AT) * 1_000_000n;
  return timeline === previous ? { kind: 'restart', lsn, atMicros } : { kind: 'timeline', lsn, timeline, previous, atMicros };
}

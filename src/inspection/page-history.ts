import { changesOf, MAIN_FORK, type RelationFile, type WalChange } from '../formats/wal-changes.ts';
import type { WalSource } from '../formats/wal-pages.ts';
import { readRecords, type WalRecord } from '../formats/wal-reader.ts';
import type { Lsn, WalIdentity } from '../formats/wal-segment.ts';
import { RELATION } from './relations.ts';

/** The WAL's word on one fork of a relation, page by page. */
export interface ForkHistory {
  /** From this block on nothing of a backup taken before holds any more: the relation was made, emptied or cut since. */
  readonly keptBlocks: number;
  /** The relation was removed, and no later record made it again. */
  readonly isDropped: boolean;
  /** How many blocks the WAL has written to, counted to the last one. */
  readonly blocks: number;
  /**
   * By block of the segment file with this number: 0 the WAL does not name it, `UNBOUND` it does without a word about its LSN, `LATER` only where
   * the page on disk need not have seen it yet, else the LSN that it has at least. Undefined: none of its blocks is named.
   */
  segment(number: number): Float64Array | undefined;
}

/** The changes of every relation in the WAL between two positions. */
export interface PageHistory {
  readonly from: Lsn;
  readonly end: Lsn;
  /** Something in it is filled without WAL, so a page that nothing names may be right. */
  readonly isPartial: boolean;
  /** Of the file at `path`, relative to PGDATA; undefined: the WAL says nothing about it. */
  of(path: string): ForkHistory | undefined;
  /** Its database was made by copying files: then its pages are not named either. */
  isCopied(path: string): boolean;
}

export const UNBOUND = -1;
export const LATER = -2;
const DEFAULT_TABLESPACE = 1663;
const GLOBAL_TABLESPACE = 1664;

/** Where the WAL is, whose it is, and which part is wanted. */
export interface HistoryRequest {
  readonly source: WalSource;
  readonly identity: WalIdentity;
  readonly from: Lsn;
  /** A position that every page on disk has seen for certain: the redo of the last checkpoint. Later records only say that a page may differ. */
  readonly flushedTo: Lsn;
  /** Ends there; undefined: at the last whole record. */
  readonly to?: Lsn | undefined;
  readonly blocksPerSegment: number;
}

/** Reads the WAL once, from `from` on, at some hundred megabytes a second; memory: eight bytes for each page that it names. */
export async function readPageHistory(request: HistoryRequest, signal: AbortSignal): Promise<PageHistory> {
  const { source, identity, from, flushedTo, to, blocksPerSegment } = request;
  const files = new Map<string, Writable>();
  const copied = new Set<number>();
  let isPartial = false;
  const apply = (change: WalChange, { end }: WalRecord): void => {
    if (change.kind === 'minimal') isPartial = true;
    else if (change.kind === 'copy-database') copied.add(change.database);
    else if (change.kind === 'page') {
      const bound = end > flushedTo ? LATER : change.bindsLsn && change.fork !== INIT_FORK ? Number(end) : UNBOUND;
      fork(files, change.file, change.fork, blocksPerSegment).touch(change.block, bound);
    } else if (change.kind === 'create') fork(files, change.file, change.fork, blocksPerSegment).cut(0, false);
    else if (change.kind === 'truncate') fork(files, change.file, MAIN_FORK, blocksPerSegment).cut(change.blocks, false);
    else for (const number of [MAIN_FORK, INIT_FORK]) fork(files, change.file, number, blocksPerSegment).cut(0, true);
  };
  const { end } = await readRecords(source, identity, from, signal, (record) => {
    for (const change of changesOf(record)) apply(change, record);
    return to === undefined || record.end < to;
  });
  return {
    from,
    end,
    isPartial,
    of: (path) => files.get(keyOfPath(path) ?? ''),
    isCopied: (path) => copied.has(Number(/(?:^base|\/PG_[^/]+)\/(\d+)\//.exec(path)?.[1] ?? -1)),
  };
}

/** Of an index it is written before its image is logged, which alone bears the LSN (nbtree.c, btbuildempty, until PostgreSQL 15). */
const INIT_FORK = 3;
const forkNumbers: Readonly<Record<string, number>> = { fsm: 1, vm: 2, init: INIT_FORK };
const keyOf = ({ tablespace, database, node }: RelationFile, number: number): string => `${tablespace}/${database}/${node}/${number}`;

/** base/<database>/<node>, global/<node> and pg_tblspc/<tablespace>/PG_…/<database>/<node>, whichever segment. */
function keyOfPath(path: string): string | undefined {
  const [, node, name] = RELATION.exec(path) ?? [];
  if (node === undefined) return undefined;
  const number = name === undefined ? MAIN_FORK : forkNumbers[name]!;
  const parts = path.split('/');
  if (parts[0] === 'global') return keyOf({ tablespace: GLOBAL_TABLESPACE, database: 0, node: Number(node) }, number);
  if (parts[0] === 'base') return keyOf({ tablespace: DEFAULT_TABLESPACE, database: Number(parts[1]), node: Number(node) }, number);
  return keyOf({ tablespace: Number(parts[1]), database: Number(parts[3]), node: Number(node) }, number);
}

interface Writable extends ForkHistory {
  touch(block: number, lsn: number): void;
  /** Forgets the blocks from `from` on. */
  cut(from: number, isDropped: boolean): void;
}

function fork(files: Map<string, Writable>, file: RelationFile, number: number, blocksPerSegment: number): Writable {
  const key = keyOf(file, number);
  const known = files.get(key);
  if (known) return known;
  const made = newFork(blocksPerSegment);
  files.set(key, made);
  return made;
}

const FIRST_BLOCKS = 64;

function newFork(blocksPerSegment: number): Writable {
  const segments = new Map<number, Float64Array>();
  let [keptBlocks, blocks, isDropped] = [Number.POSITIVE_INFINITY, 0, false];
  return {
    get keptBlocks() {
      return keptBlocks;
    },
    get blocks() {
      return blocks;
    },
    get isDropped() {
      return isDropped;
    },
    segment: (number) => segments.get(number),
    touch(block, lsn) {
      isDropped = false;
      blocks = Math.max(blocks, block + 1);
      const [number, at] = [Math.floor(block / blocksPerSegment), block % blocksPerSegment];
      let lsns = segments.get(number);
      if (!lsns || at >= lsns.length) {
        const larger = new Float64Array(Math.min(blocksPerSegment, Math.max(FIRST_BLOCKS, (lsns?.length ?? 0) * 2, at + 1)));
        if (lsns) larger.set(lsns);
        segments.set(number, larger);
        lsns = larger;
      }
      if (lsn > 0 || (lsns[at]! <= 0 && lsn < lsns[at]!)) lsns[at] = lsn;
    },
    cut(from, dropped) {
      isDropped = dropped;
      keptBlocks = Math.min(keptBlocks, from);
      blocks = Math.min(blocks, from);
      for (const [number, lsns] of segments) {
        const first = from - number * blocksPerSegment;
        if (first <= 0) segments.delete(number);
        else if (first < lsns.length) lsns.fill(0, first);
      }
    },
  };
}

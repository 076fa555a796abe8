import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type BucketsAhead, bucketsAhead, isHashPage } from '../formats/hash-index.ts';
import { pageBuffer } from '../formats/page-buffer.ts';
import { isSameButHints } from '../formats/page-hints.ts';
import { findBrokenHeaders, HEADER_BYTES, header, isZero, pageLsn } from '../formats/pages.ts';
import { unlessMissing, wordsOf } from '../kernel/errors.ts';
import { isOwnTrouble } from '../kernel/own-trouble.ts';
import { LATER } from './page-history.ts';

/** In what way a page is neither as the backup holds it nor as the WAL since says. */
export type Doubt = 'unsound' | 'zeroed' | 'emptied' | 'behind' | 'ahead' | 'differs' | 'unnamed' | 'cut';

/** One file to prove: what is known of it from the WAL and from a backup. */
export interface ProofTask {
  readonly file: string;
  readonly path: string;
  /** The number of the file's first block within its relation, as segments count on. */
  readonly firstBlock: number;
  readonly blockSizeBytes: number;
  readonly checksums: boolean;
  /** By block as ForkHistory has it: 0 not named, `UNBOUND`, `LATER`, else the LSN that the page has at least; shorter than the file where the rest is not named. */
  readonly named: Float64Array;
  /** How many blocks the file has at least, by the WAL. */
  readonly blocksAtLeast: number;
  /** The same file as a backup holds it, and from which block on that no longer counts; undefined: it holds none, or there is no backup. */
  readonly kept: { readonly file: string; readonly blocks: number } | undefined;
  /** It was seen shorter, before crash recovery made it longer; or somebody wrote to it while no server ran. */
  readonly suspicion: { readonly fromBlock: number; readonly toBlock: number; readonly hasForeignZeroes?: boolean } | undefined;
  /** Everything since that backup is at hand, so a page that is neither kept nor named cannot be. */
  readonly isComplete: boolean;
  /** The relation goes on in a next file, so no zeroes in this one are its end. */
  readonly isFollowed: boolean;
  /** The end of the WAL that was read. */
  readonly endLsn: number;
  /** A server writes meanwhile, so a page may have seen more than that. */
  readonly isLive: boolean;
  /** No server has written since it was shut down: what the file says of itself holds for all of it. */
  readonly isAtRest: boolean;
}

export interface ProofResult {
  readonly path: string;
  readonly pages: number;
  readonly bytes: number;
  readonly doubts: readonly { readonly block: number; readonly doubt: Doubt }[];
  /**
   * Blocks that hold zeroes before the last one in use, where neither a backup nor the WAL can say what was there. A server leaves such pages
   * itself when it dies while it makes a relation longer: alone they are unknown, never damage.
   */
  readonly emptied: readonly number[];
  /** Some of its pages hold something of which neither a backup nor the WAL speaks: they may be of any time. */
  readonly isUnheard: boolean;
  readonly kind: 'table' | 'index' | 'sequence' | undefined;
  readonly unreadable?: string | undefined;
}

/** A GiST index that was built by sorting bears it on every page (gist_private.h, GistBuildLSN). */
const GIST_BUILD_LSN = 1;
const SEQUENCE_MAGIC = 0x1717; // src/backend/commands/sequence.c

/** The result where zeroes are known to have taken the place of something: then those beside them did so too. */
export const withEmptied = (result: ProofResult): ProofResult => ({
  ...result,
  emptied: [],
  doubts: [...result.doubts, ...result.emptied.map((block) => ({ block, doubt: 'emptied' as const }))].sort((a, b) => a.block - b.block),
});

/** Reads every page of one file once, and the backup's page where the WAL does not name it. A file that is gone has lost all its pages. */
export function proveFile(task: ProofTask): ProofResult {
  const { path, blockSizeBytes: size } = task;
  const doubts: ProofResult['doubts'][number][] = [];
  const kept = openKept(task);
  const emptied = collectEmptied(task, kept);
  let [pages, isUnheard, kind] = [0, false, undefined as ProofResult['kind']];
  let handle: number | undefined;
  try {
    handle = openOrNothing(task.file);
    const { bytes: chunk, findUnsound } = pageBuffer();
    for (let ended = handle === undefined; !ended; ) {
      const bytesRead = readSync(handle!, chunk, 0, chunk.length, pages * size);
      const whole = Math.floor(bytesRead / size);
      const rule = { blockSizeBytes: size, firstBlock: task.firstBlock, startLsn: undefined };
      const unsound = task.checksums
        ? findUnsound(bytesRead, pages, rule).map(({ block }) => block)
        : findBrokenHeaders(chunk.subarray(0, whole * size), pages, size);
      const broken = new Set(unsound);
      for (let index = 0; index < whole; index += 1, pages += 1) {
        const page = chunk.subarray(index * size, (index + 1) * size);
        kind ??= broken.has(pages) ? undefined : kindOfPage(page, size);
        const isEmpty = page.readUInt16LE(header.upper) === 0 && isZero(page);
        const doubt = broken.has(pages) ? 'unsound' : isEmpty ? judgeEmpty(pages, task, kept) : judgePage(page, pages, task, kept);
        if (doubt !== undefined) doubts.push({ block: pages, doubt });
        emptied.look(page, pages, isEmpty, doubt);
        isUnheard ||= !isEmpty && doubt === undefined && !isHeard(page, pages, task, kept);
      }
      ended = bytesRead < chunk.length;
    }
    for (let block = pages; block < Math.max(task.blocksAtLeast, kept?.blocks ?? 0, task.suspicion?.toBlock ?? 0); block += 1)
      if (isMissed(block, task, kept)) doubts.push({ block, doubt: 'cut' });
    const result = { path, pages, bytes: pages * size, doubts, emptied: emptied.blocks(), isUnheard, kind: kind ?? kept?.kind() };
    return task.suspicion?.hasForeignZeroes ? withEmptied(result) : result;
  } catch (cause) {
    if (isOwnTrouble(cause)) throw cause; // That says nothing of the file.
    return { path, pages, bytes: pages * size, doubts, emptied: [], isUnheard, kind, unreadable: wordsOf(cause) };
  } finally {
    if (handle !== undefined) closeSync(handle);
    kept?.close();
  }
}

/** Of what is not there any more: whether it is known to have held something. */
const isMissed = (block: number, task: ProofTask, kept: Kept | undefined): boolean =>
  (task.named[block] ?? 0) !== 0 || isSuspected(task, block) || (kept !== undefined && block < kept.blocks && kept.holdsSomething(block));

function openOrNothing(file: string): number | undefined {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NONBLOCK); // A pipe in its place would be waited for without end.
  } catch (cause) {
    return unlessMissing(cause);
  }
}

/** Of a page that holds zeroes. */
function judgeEmpty(block: number, task: ProofTask, kept: Kept | undefined): Doubt | undefined {
  const named = task.named[block] ?? 0;
  if (named > 0 || isSuspected(task, block)) return 'zeroed';
  return named === 0 && kept !== undefined && block < kept.blocks && kept.holdsSomething(block) ? 'zeroed' : undefined;
}

/** Collects the pages that hold zeroes and of which nothing is known, until a later page shows that they should hold something. */
function collectEmptied(task: ProofTask, kept: Kept | undefined) {
  const empty: number[] = [];
  let [last, isHash, pages] = [task.isFollowed ? Number.POSITIVE_INFINITY : -1, false, 0];
  let ahead: BucketsAhead | undefined;
  /** In an index of hashes: before its last bucket, or at its very first page; behind them only where nothing was written since. */
  const isMissing = (block: number): boolean =>
    ahead === undefined
      ? block + task.firstBlock === 0
      : block < ahead.from || (block > ahead.to && (task.isAtRest || task.suspicion?.hasForeignZeroes === true));
  return {
    look(page: Buffer, block: number, isEmpty: boolean, doubt: Doubt | undefined): void {
      pages += 1;
      isHash ||= isHashPage(page);
      if (block + task.firstBlock === 0) ahead = bucketsAhead(page);
      const named = task.named[block] ?? 0;
      const isEmptyInBackup = kept !== undefined && block < kept.blocks;
      if (!isEmpty || named > 0 || named === LATER || doubt !== undefined) last = Math.max(last, block);
      else if (!isEmptyInBackup) empty.push(block);
    },
    blocks(): readonly number[] {
      if (task.isComplete || task.path.endsWith('_init')) return [];
      const suspect = empty.length === pages ? empty : empty.filter((block) => block < last);
      return isHash ? suspect.filter(isMissing) : suspect;
    },
  };
}

/**
 * A backup holds that page, the WAL names its moment, or both are at hand from the backup on and leave no room for another. That no byte of a row is
 * another one at that moment its checksum tells.
 */
function isHeard(page: Buffer, block: number, task: ProofTask, kept: Kept | undefined): boolean {
  const named = task.named[block] ?? 0;
  const lsn = Number(pageLsn(page, 0));
  if (named !== 0) return task.checksums && named > 0 && lsn >= named && lsn <= task.endLsn;
  return (kept !== undefined && block < kept.blocks) || task.isComplete;
}

/** Of a page that holds something. First match wins; pure but for the backup's page. */
function judgePage(page: Buffer, block: number, task: ProofTask, kept: Kept | undefined): Doubt | undefined {
  const named = task.named[block] ?? 0;
  const isKept = kept !== undefined && block < kept.blocks;
  const lsn = Number(pageLsn(page, 0));
  // A file that was made since may be what a crash left of an index that was being built: its pages are written before their WAL.
  if (lsn > task.endLsn) return task.isLive || kept === undefined ? undefined : 'ahead';
  if (named > 0) return lsn >= named || lsn === GIST_BUILD_LSN ? undefined : 'behind';
  if (named !== 0) return undefined;
  if (isKept) return kept.isSame(block, page) ? undefined : 'differs';
  // A page may be made ready and never be written to, when its transaction fails in between.
  return task.isComplete && kept !== undefined && lsn > GIST_BUILD_LSN && page.readUInt16LE(header.lower) > HEADER_BYTES
    ? 'unnamed'
    : undefined;
}

/** The WAL names what crash recovery brought back: what it did not bring back holds zeroes. */
const isSuspected = ({ suspicion }: ProofTask, block: number): boolean =>
  suspicion !== undefined && block >= suspicion.fromBlock && block < suspicion.toBlock;

interface Kept {
  /** How many of the backup's pages still count, no more than it holds. */
  readonly blocks: number;
  holdsSomething(block: number): boolean;
  isSame(block: number, page: Buffer): boolean;
  kind(): ProofResult['kind'];
  close(): void;
}

const WINDOW_PAGES = 32;

/** The backup's file, a window of pages at a time; undefined where it has none. */
function openKept({ kept, blockSizeBytes: size }: ProofTask): Kept | undefined {
  const handle = kept === undefined ? undefined : openOrNothing(kept.file);
  if (kept === undefined || handle === undefined) return undefined;
  if (!fstatSync(handle).isFile()) {
    closeSync(handle);
    return undefined; // Something else stands in its place in the backup: that says nothing of the data.
  }
  const buffer = Buffer.allocUnsafe(WINDOW_PAGES * size);
  let window = { from: 0, pages: 0 };
  const at = (block: number): Buffer => {
    if (block < window.from || block >= window.from + window.pages)
      window = { from: block, pages: Math.floor(readSync(handle, buffer, 0, buffer.length, block * size) / size) };
    const index = block - window.from;
    return buffer.subarray(index * size, (index + 1) * size);
  };
  const blocks = Math.min(kept.blocks, Math.floor(fstatSync(handle).size / size));
  return {
    blocks,
    holdsSomething: (block) => !isZero(at(block)),
    isSame: (block, page) => isSameButHints(at(block), page),
    kind: () => (blocks > 0 ? kindOfPage(at(0), size) : undefined), // Of an empty file there is no page, but what was in memory.
    close: () => closeSync(handle),
  };
}

function kindOfPage(page: Buffer, size: number): ProofResult['kind'] {
  const special = page.readUInt16LE(header.special);
  if (special === 0) return undefined;
  if (special === size) return 'table';
  return size - special === 8 && page.readUInt32LE(special) === SEQUENCE_MAGIC ? 'sequence' : 'index';
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isSameButHints } from '../../src/formats/page-hints.ts';
import { LATER, UNBOUND } from '../../src/inspection/page-history.ts';
import { type Doubt, type ProofResult, type ProofTask, proveFile, withEmptied } from '../../src/inspection/prove-file.ts';

const SIZE = 8192;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dbkit-proof-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A page of a table without checksum: an LSN, one row of these bytes. */
function page(lsn: number, row = 'row'): Buffer {
  const bytes = Buffer.alloc(SIZE);
  bytes.writeUInt32LE(lsn, 4);
  bytes.writeUInt16LE(28, 12);
  bytes.writeUInt16LE(8000, 14);
  bytes.writeUInt16LE(SIZE, 16);
  bytes.writeUInt16LE(0x2004, 18);
  bytes.writeUInt32LE(8000 | (1 << 15) | (64 << 17), 24);
  bytes.writeUInt32LE(3, 8000); // Its xmin.
  bytes.write(row, 8000 + 32);
  return bytes;
}
const zeroes = Buffer.alloc(SIZE);

type About = Partial<ProofTask> & { readonly backup?: readonly Buffer[]; readonly keptBlocks?: number };

function proofOf(now: readonly Buffer[], known: About = {}): ProofResult {
  const file = join(folder, 'now');
  writeFileSync(file, Buffer.concat(now));
  const { backup, keptBlocks = Number.POSITIVE_INFINITY, ...task } = known;
  if (backup) writeFileSync(join(folder, 'kept'), Buffer.concat(backup));
  return proveFile({
    file,
    path: 'base/5/16384',
    firstBlock: 0,
    blockSizeBytes: SIZE,
    checksums: false,
    named: new Float64Array(0),
    blocksAtLeast: 0,
    kept: backup ? { file: join(folder, 'kept'), blocks: keptBlocks } : undefined,
    suspicion: undefined,
    isComplete: backup !== undefined,
    isFollowed: false,
    endLsn: 1000,
    isLive: false,
    isAtRest: false,
    ...task,
  });
}

function doubtsOf(now: readonly Buffer[], known: About = {}): (Doubt | undefined)[] {
  const { doubts } = proofOf(now, known);
  const all = Array.from({ length: Math.max(now.length, ...doubts.map(({ block }) => block + 1)) }, () => undefined as Doubt | undefined);
  for (const { block, doubt } of doubts) all[block] = doubt;
  return all;
}

test.each<[what: string, now: Buffer[], known: Parameters<typeof doubtsOf>[1], doubts: (Doubt | undefined)[]]>([
  ['a page whose row has zeroes for a header', [page(700).fill(0, 8000)], { named: Float64Array.of(700) }, ['unsound']],
  ['a page as the backup holds it', [page(50)], { backup: [page(50)] }, [undefined]],
  ['a page that the WAL names and that has seen it', [page(700)], { backup: [page(50)], named: Float64Array.of(700) }, [undefined]],
  ['a page that has seen more than the last record that binds it', [page(800)], { named: Float64Array.of(700) }, [undefined]],
  [
    'a page that the WAL names and whose LSN it does not bind',
    [page(50, 'other')],
    { backup: [page(50)], named: Float64Array.of(-1) },
    [undefined],
  ],
  ['a page of a GiST index that was built by sorting', [page(1)], { named: Float64Array.of(700) }, [undefined]],
  ['a page at the end that nobody has written to', [page(50), zeroes], { backup: [page(50)] }, [undefined, undefined]],
  ['a page that holds zeroes although the WAL names it', [zeroes], { named: Float64Array.of(700) }, ['zeroed']],
  ['a page that holds zeroes where the backup holds rows', [zeroes, page(60)], { backup: [page(50), page(60)] }, ['zeroed', undefined]],
  ['an older version of a page', [page(600)], { named: Float64Array.of(700) }, ['behind']],
  ['a page of another cluster', [page(5000)], { backup: [page(50)] }, ['ahead']],
  ['what a crash left of an index that was being built', [page(5000)], {}, [undefined]],
  ['a page of now beside a server that writes', [page(5000)], { backup: [page(50)], isLive: true }, [undefined]],
  ['other rows, and no WAL names them', [page(50, 'other')], { backup: [page(50)] }, ['differs']],
  ['a page that the backup does not hold, and no WAL names', [page(50), page(60)], { backup: [page(50)] }, [undefined, 'unnamed']],
  ['the same where WAL may be missing', [page(50), page(60)], { backup: [page(50)], isComplete: false }, [undefined, undefined]],
  ['a file that is shorter than in the backup', [page(50)], { backup: [page(50), page(60)] }, [undefined, 'cut']],
  ['a file that was cut on purpose since', [page(50)], { backup: [page(50), page(60)], keptBlocks: 1 }, [undefined]],
  ['a file that is shorter than the WAL says', [page(700)], { named: Float64Array.of(700, 710), blocksAtLeast: 2 }, [undefined, 'cut']],
  [
    'a file that crash recovery made longer with zeroes',
    [page(50), zeroes, zeroes],
    { suspicion: { fromBlock: 1, toBlock: 2 } },
    [undefined, 'zeroed', undefined],
  ],
  ['a header that cannot be', [Buffer.alloc(SIZE, 0x5a)], {}, ['unsound']],
])('%s', (_, now, known, doubts) => {
  expect(doubtsOf(now, known)).toEqual(doubts);
});

const hash = Buffer.alloc(SIZE, 1);
hash.writeUInt16LE(0xff80, SIZE - 2);
const used = page(50);

test.each<[what: string, now: Buffer[], known: About, emptied: number[]]>([
  ['pages in use', [used, used], {}, []],
  ['a table that was extended ahead of its use', [used, zeroes, zeroes], {}, []],
  ['a page zeroed in the middle', [used, zeroes, used], {}, [1]],
  ['the first of a table', [zeroes, used], {}, [0]],
  ['every one of a table', [zeroes, zeroes], {}, [0, 1]],
  ['those before a page that only the WAL names', [zeroes, zeroes, zeroes], { named: Float64Array.of(0, 700) }, [0]],
  [
    'those before one that the WAL has written to later than the last checkpoint',
    [zeroes, zeroes],
    { named: Float64Array.of(0, LATER) },
    [0],
  ],
  ['one of which the WAL only says that it can be seen by all', [zeroes, used], { named: Float64Array.of(UNBOUND, 0) }, [0]],
  ['those before one that was seen longer', [zeroes, zeroes, zeroes], { suspicion: { fromBlock: 1, toBlock: 2 } }, [0]],
  ['the end of a file that another one follows', [used, zeroes], { isFollowed: true }, [1]],
  ['a page that holds zeroes in the backup too', [zeroes, used], { backup: [zeroes, used], isComplete: false }, []],
  [
    'a page of which backup and WAL together say all',
    [used, zeroes, used],
    { backup: [used], isComplete: true, named: Float64Array.of(0, 0, -1) },
    [],
  ],
  ['a hash index, which lays out its buckets ahead', [hash, zeroes, used], {}, []],
  ['the torn page behind a hole', [used, zeroes, used.subarray(0, 100)], {}, []],
  ['the init fork of an unlogged table', [zeroes, used], { path: 'base/5/16384_init' }, []],
])('pages that hold zeroes for no known reason: %s', (_, now, known, emptied) => {
  expect(proofOf(now, known).emptied).toEqual(emptied);
});

test('zeroes speak for those beside them only where something was lost for certain', () => {
  const result = withEmptied(proofOf([zeroes, zeroes, used], { named: Float64Array.of(0, 700) }));
  expect(result.doubts).toEqual([
    { block: 0, doubt: 'emptied' },
    { block: 1, doubt: 'zeroed' },
  ]);
  expect(withEmptied(result), 'said once').toEqual(result);
});

test('a file that is gone has lost what the backup holds', () => {
  writeFileSync(join(folder, 'kept'), page(50));
  rmSync(join(folder, 'now'), { force: true });
  const kept = { file: join(folder, 'kept'), blocks: 1 };
  const task = {
    file: join(folder, 'now'),
    path: 'base/5/16384',
    firstBlock: 0,
    blockSizeBytes: SIZE,
    checksums: false,
    named: new Float64Array(0),
  };
  const known = {
    blocksAtLeast: 0,
    kept,
    suspicion: undefined,
    isComplete: true,
    isFollowed: false,
    endLsn: 1000,
    isLive: false,
    isAtRest: false,
  };
  expect(proveFile({ ...task, ...known }).doubts).toEqual([{ block: 0, doubt: 'cut' }]);
});

test('hint bits are no difference, rows are', () => {
  const hinted = page(50);
  hinted.writeUInt16LE(0x0900, 8000 + 20); // HEAP_XMIN_COMMITTED and HEAP_XMAX_INVALID
  hinted.writeUInt16LE(0x1234, 8);
  expect(isSameButHints(page(50), hinted)).toBe(true);
  expect(isSameButHints(page(50), page(50, 'other'))).toBe(false);
});

test('the pages that an SP-GiST index remembers to have room are no difference, its magic number is', () => {
  const meta = (room: number, magic = 0xba0babee): Buffer => {
    const bytes = page(50);
    bytes.writeUInt16LE(200, 12);
    bytes.writeUInt16LE(SIZE - 8, 16);
    bytes.writeUInt32LE(magic, 24);
    bytes.writeUInt32LE(room, 28);
    bytes.writeUInt16LE(1, SIZE - 8);
    bytes.writeUInt16LE(0xff82, SIZE - 2);
    return bytes;
  };
  expect(isSameButHints(meta(1), meta(2))).toBe(true);
  expect(isSameButHints(meta(1), meta(1, 7))).toBe(false);
});

test('a folder in the place of the file of the backup is no backup of it, and says nothing of the data', () => {
  const place = join(folder, 'in-its-place');
  mkdirSync(place);
  expect(doubtsOf([page(50)], { kept: { file: place, blocks: Number.POSITIVE_INFINITY }, isComplete: true })).toEqual([undefined]);
});

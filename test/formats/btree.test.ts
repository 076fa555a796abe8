import { expect, test } from 'vitest';
import { misplacedPage } from '../../src/formats/btree.ts';

const SIZE = 8192;
const SPECIAL = SIZE - 16;
const [LEAF, ROOT, DELETED, META, HALF_DEAD] = [1, 2, 4, 8, 16];

interface Shape {
  readonly flags: number;
  readonly level: number;
  readonly next?: number;
  /** What its entries lead to. */
  readonly children?: readonly number[];
}

/** A page as nbtree.h has it. */
function page({ flags, level, next = 0, children = [] }: Shape): Buffer {
  const bytes = Buffer.alloc(SIZE);
  bytes.writeUInt16LE(24 + 4 * children.length, 12);
  bytes.writeUInt16LE(SPECIAL - 16 * Math.max(1, children.length), 14);
  bytes.writeUInt16LE(SPECIAL, 16);
  for (const [index, child] of children.entries()) {
    const offset = SPECIAL - 16 * (index + 1);
    bytes.writeUInt32LE((16 << 17) | (1 << 15) | offset, 24 + 4 * index);
    bytes.writeUInt16LE(child >>> 16, offset);
    bytes.writeUInt16LE(child & 0xffff, offset + 2);
  }
  bytes.writeUInt32LE(next, SPECIAL + 4);
  bytes.writeUInt32LE(level, SPECIAL + 8);
  bytes.writeUInt16LE(flags, SPECIAL + 12);
  return bytes;
}

/** Block 0 of an index, as BTMetaPageData has it. */
function meta(root: number, level: number, [fastRoot, fastLevel] = [root, level]): Buffer {
  const bytes = page({ flags: META, level: 0 });
  for (const [index, value] of [0x053162, 4, root, level, fastRoot, fastLevel].entries()) bytes.writeUInt32LE(value, 24 + 4 * index);
  return bytes;
}

const leaf = (next = 0): Buffer => page({ flags: LEAF, level: 0, next });
const onlyLeaf = page({ flags: LEAF | ROOT, level: 0 });
const root = page({ flags: ROOT, level: 1, children: [1, 2] });
const around = (child: number): Buffer => page({ flags: 0, level: 1, children: [child] });
const deleted = page({ flags: DELETED | LEAF, level: 700, next: 2 });
const halfDead = page({ flags: HALF_DEAD | LEAF, level: 0, next: 2 });
const upper = page({ flags: ROOT, level: 2, children: [5, 6] });
/** Its first entry is its upper bound, which leads nowhere. */
const inner = page({ flags: 0, level: 1, next: 6, children: [9, 1] });

test.each([
  ['an empty one', [meta(0, 0)], undefined],
  ['a small one', [meta(1, 0), onlyLeaf], undefined],
  ['one with a level above its leaves', [meta(3, 1), leaf(2), leaf(), root], undefined],
  ['one with two, and an upper bound', [meta(7, 2), leaf(3), leaf(), leaf(2), leaf(), inner, around(2), upper], undefined],
  [
    'one that is entered below its root',
    [meta(4, 2, [3, 1]), leaf(2), leaf(), root, page({ flags: ROOT, level: 2, children: [3] })],
    undefined,
  ],
  ['a page that was deleted, and is still led to', [meta(3, 1), deleted, leaf(), root], undefined],
  ['one that is about to be', [meta(3, 1), halfDead, leaf(), root], undefined],
  ['no btree: a table', [Buffer.alloc(SIZE), Buffer.alloc(SIZE)], undefined],
  ['its root in the place of its description: the server says it itself', [onlyLeaf, onlyLeaf], undefined],
  ['its description in the place of its root', [meta(1, 0), meta(1, 0)], 1],
  ['a page that leads to itself', [meta(3, 1), around(1), leaf(), root], 1],
  ['two that lead to each other', [meta(3, 1), around(2), around(1), root], 1],
  ['its root in the place of a leaf', [meta(3, 1), leaf(2), root, root], 2],
  ['a leaf in the place of its root', [meta(3, 1), leaf(2), leaf(), leaf()], 3],
  ['leaves in a circle', [meta(3, 1), leaf(2), leaf(1), root], 1],
  ['one that was deleted and leads back', [meta(3, 1), leaf(4), leaf(), root, page({ flags: DELETED, level: 0, next: 1 })], 1],
  ['a way to a page that there is not', [meta(3, 1), leaf(2), leaf(9), root], 9],
  ['a level that no index has', [meta(3, 0xffffffff), leaf(2), leaf(), root], 0],
])('%s', (_name, pages, block) => {
  expect(misplacedPage((at) => pages[at])).toBe(block);
});

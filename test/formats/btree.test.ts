import { expect, test } from 'vitest';
import { misplacedPage } from '../../src/formats/btree.ts';

const SIZE = 8192;
const SPECIAL = SIZE - 16;
const [LEAF, ROOT, DELETED, META] = [1, 2, 4, 8];

/** A page as nbtree.h has it; `children`: what its entries lead to. */
function page({
  flags,
  level,
  next = 0,
  children = [],
}: {
  flags: number;
  level: number;
  next?: number;
  children?: readonly number[];
}): Buffer {
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

const meta = page({ flags: META, level: 0 });
const leaf = page({ flags: LEAF, level: 0 });
const root = page({ flags: ROOT, level: 1, children: [1, 2] });
const inner = page({ flags: 0, level: 1, next: 5, children: [9, 1, 2] }); // The first is its upper bound, which leads nowhere.

test.each([
  ['a small one', [meta, page({ flags: LEAF | ROOT, level: 0 })], undefined],
  ['one with a level above its leaves', [meta, leaf, leaf, root], undefined],
  ['its upper bound is no way down', [meta, leaf, leaf, inner], undefined],
  ['a page that was never used', [meta, leaf, Buffer.alloc(SIZE), root], undefined],
  ['one that was deleted and is still led to', [meta, leaf, page({ flags: DELETED, level: 700 }), root], undefined],
  ['its description in the place of its root', [meta, meta], 1],
  ['its root in the place of its description', [leaf, leaf], 0],
  ['a page that leads to itself', [meta, root, leaf], 1],
  ['its root in the place of a leaf', [meta, leaf, root, root], 2],
  ['a page that was used again above its old parent', [meta, page({ flags: 0, level: 1, children: [2] }), leaf, root], undefined],
  ['a new page whose end had not come to the disk', [meta, leaf, page({ flags: 0, level: 0, children: [2] })], undefined],
  ['no btree: a table', [Buffer.alloc(SIZE, 0), Buffer.alloc(SIZE, 0)], undefined],
])('%s', (_name, pages, block) => {
  expect(misplacedPage(Buffer.concat(pages), SIZE)).toBe(block);
});

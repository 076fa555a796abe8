import { expect, test } from 'vitest';
import type { ProofResult } from '../../src/inspection/prove-file.ts';
import { both } from '../../src/inspection/prove-twice.ts';

const result = (path: string, blocks: readonly number[], unreadable?: string): ProofResult => ({
  path,
  pages: 10,
  bytes: 81_920,
  doubts: blocks.map((block) => ({ block, doubt: 'unsound' as const })),
  emptied: [],
  kind: 'table',
  unreadable,
});

test.each<[what: string, earlier: ProofResult[], later: ProofResult[], left: [path: string, blocks: number[]][]]>([
  ['a page that is doubtful every time', [result('base/5/1', [3])], [result('base/5/1', [3])], [['base/5/1', [3]]]],
  ['a page that was being written, and then another one', [result('base/5/1', [3])], [result('base/5/1', [4])], []],
  ['one of two pages', [result('base/5/1', [3, 4])], [result('base/5/1', [4, 5])], [['base/5/1', [4]]]],
  ['a file that was not doubtful before', [result('base/5/1', [3])], [result('base/5/2', [3])], []],
  ['a file that was dropped meanwhile', [result('base/5/1', [3])], [], []],
  ['a file that could not be read once', [result('base/5/1', [3])], [result('base/5/1', [], 'EIO')], []],
  ['a file that cannot be read', [result('base/5/1', [], 'EIO')], [result('base/5/1', [], 'EIO')], [['base/5/1', []]]],
])('what two readings beside a server agree on: %s', (_, earlier, later, left) => {
  expect(both(earlier, later).map(({ path, doubts }) => [path, doubts.map(({ block }) => block)])).toEqual(left);
});

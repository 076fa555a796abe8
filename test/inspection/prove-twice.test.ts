import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ControlFile } from '../../src/formats/control-file.ts';
import type { ProofResult } from '../../src/inspection/prove-file.ts';
import { both, proveTwice } from '../../src/inspection/prove-twice.ts';
import { walk } from '../../src/inspection/walk.ts';
import { createLogger } from '../../src/machine/logger.ts';

const result = (path: string, blocks: readonly number[], unreadable?: string): ProofResult => ({
  path,
  pages: 10,
  bytes: 81_920,
  doubts: blocks.map((block) => ({ block, doubt: 'unsound' as const })),
  emptied: [],
  isUnheard: false,
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

test('zeroes that are damage because the file was seen shorter stay damage when they are read again beside the server', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'dbkit-twice-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const { signal } = new AbortController();
  for (const name of ['base/5', 'pg_wal']) await mkdir(join(dataDir, name), { recursive: true });
  const path = 'base/5/16384';
  await writeFile(join(dataDir, path), Buffer.alloc(3 * 8192));
  const sizes = { blockSizeBytes: 8192, blocksPerSegment: 131_072, walSegmentSizeBytes: 16 * 1024 * 1024 };
  const control = { ...sizes, state: 'in production', timeline: 1, systemIdentifier: '7', redoLsn: 0n, checkpointLsn: 0n, checksums: true };
  const must = new Map([[path, { fromBlock: 1, toBlock: 3 }]]);
  const request = { dataDir, control: control as ControlFile, baseline: undefined, seen: walk(dataDir, signal), must, whole: false };
  const { doubtful } = await proveTwice({ ...request, isLive: true, log: createLogger('error', () => undefined) }, signal);
  expect(doubtful.map(({ doubts }) => doubts.filter(({ doubt }) => doubt === 'zeroed').map(({ block }) => block))).toEqual([[1, 2]]);
});

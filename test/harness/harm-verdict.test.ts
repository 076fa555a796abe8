import { expect, test } from 'vitest';
import type { Loss } from '../../src/recovery/losses.ts';
import type { Scene } from '../fault/harm-scene.ts';
import { untold } from '../fault/harm-verdict.ts';
import type { Gap } from '../fault/harm-witness.ts';

const path = 'base/16384/16500';
const scene = {
  databases: { app: 'base/16384' },
  places: { 'app.t': { path, others: [], rowsByBlock: { 0: 40, 1: 47 } } },
  moments: [100n, 200n, 300n].map((lsn) => ({ lsn, at: new Date(0) })),
} as unknown as Scene;
const gap = (phase: number, rows: number): Gap => ({ what: 'app.t', database: 'app', table: 't', phase, rows });
const page: Loss = { kind: 'pages', blocks: [0], rows: 40, path, evidence: '', relation: null, oldBytes: null };
const window: Loss = { kind: 'window', after: null, afterLsn: '0/FA', upTo: null, upToLsn: null, oldBytes: null }; // 250

test.each([
  ['nothing was told', [gap(0, 1)], [], 1],
  ['a page that held as many', [gap(0, 10), gap(1, 30)], [page], 0],
  ['a page that held fewer', [gap(0, 41)], [page], 1],
  ['a window behind which they were committed', [gap(2, 100)], [window], 0],
  ['a window before which they were committed', [gap(1, 1)], [window], 1],
  ['a page and a window: each explains its own', [gap(1, 35), gap(2, 100)], [page, window], 0],
  ['a page and a window, and more is gone than both held', [gap(1, 48), gap(2, 100)], [page, window], 1],
  ['no loss is known of', [gap(0, 1)], [{ kind: 'unknown', reason: 'no-mark', oldBytes: null }], 0],
] as const)('rows are gone, and what was told is %s', (_name, gaps, losses, left) => {
  expect(untold(scene, gaps, { losses, damage: [], decisions: [] })).toHaveLength(left);
});

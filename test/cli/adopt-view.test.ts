import { expect, test } from 'vitest';
import { adoptView } from '../../src/cli/adopt.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import type { AdoptReport } from '../../src/homes/adopt/adopt.ts';

const report: AdoptReport = {
  dataDir: '/data',
  layout: 'dbkits-own',
  because: 'dbkit has served it',
  major: 15,
  systemIdentifier: '1',
  sizeBytes: 1024,
  owner: 'postgres (999)',
  serverRuns: false,
  isShutDown: true,
  checksums: true,
  findings: [],
  changes: [],
  warnings: [],
  settings: { PGDATA: '/data' },
  backup: null,
  noBackup: 'it was not asked for',
};

test('nobody is told to remove a folder that may hold the only copy of old data', async () => {
  const plain = await createStyle(false);
  const empty = adoptView(report, [], plain);
  expect(empty).toContain('PostgreSQL ignores /data/.dbkit, which may stay');
  expect(empty).not.toMatch(/remove/);
  const kept = adoptView(report, ['.dbkit/quarantine/replaced_20261128_010000'], plain);
  expect(kept).toContain('.dbkit/quarantine/replaced_20261128_010000 may be the only copy of earlier data');
  const many = Array.from({ length: 8 }, (_, index) => `.dbkit/set-aside/${index}`);
  expect(adoptView(report, many, plain)).toContain('.dbkit/set-aside/4 and 3 more');
});

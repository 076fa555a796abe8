import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { gameDayView } from '../../src/cli/drill.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { type CountedTable, differences } from '../../src/restore/counted-rows.ts';
import type { GameDay } from '../../src/restore/game-days/contract.ts';
import { openEvidence } from '../../src/restore/game-days/evidence.ts';
import { lossOf } from '../../src/restore/game-days/loss.ts';

const at = new Date('2026-11-28T10:00:00Z');
const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1000n;
const committed = micros('2026-11-28T09:59:30Z');

test.each([
  ['nothing is missing, however old the last commit is', 100n, micros('2026-11-01T00:00:00Z'), null, { transactions: 0, seconds: 0 }],
  ['the archive was behind with nothing that a transaction wrote', 100n, committed, 2, { transactions: 0, seconds: 2 }],
  ['three transactions since the last commit', 97n, committed, null, { transactions: 3, seconds: 30 }],
  ['the archive was further behind than that', 97n, committed, 40, { transactions: 3, seconds: 40 }],
  ['nobody knows when the last one was', 97n, null, null, { transactions: 3, seconds: null }],
  ['the copy has come further than the server had', 104n, committed, null, { transactions: 0, seconds: 0 }],
] as const)('loss: %s', (_, nextXid, lastCommitMicros, lagSeconds, loss) => {
  expect(lossOf({ reached: { at, nextXid: 100n }, nextXid, lastCommitMicros, lagSeconds })).toEqual(loss);
});

test('loss: a server that cannot be asked leaves it unknown', () => {
  expect(lossOf({ reached: undefined, nextXid: 1n, lastCommitMicros: committed, lagSeconds: 0 })).toEqual({
    transactions: null,
    seconds: null,
  });
});

const counted = (name: string, rows: number, database = 'app'): CountedTable => ({ database, schema: 'public', name, rows, sizeBytes: 1 });

test('tables are compared one by one: a table that is gone, and one with other rows, are named', () => {
  const before = [counted('a', 1), counted('b', 2), counted('a', 3, 'other')];
  expect(differences(before, [...before, counted('new', 9)])).toBeNull();
  expect(differences(before, [counted('a', 1), counted('a', 4, 'other')])).toBe(
    'app: public.b has gone instead of 2; other: public.a has 4 rows instead of 3',
  );
});

const day: GameDay = {
  kind: 'total-loss',
  at: '2026-11-28T10:00:00.000Z',
  ok: false,
  label: 'data_20261128_020000',
  source: 'repository',
  tier: 'critical',
  rto: { seconds: 400, targetSeconds: 300, met: false },
  rpo: { seconds: 1, targetSeconds: 60, met: true },
  lostTransactions: 1,
  rows: { tables: 2, rows: 7 },
  checks: [{ name: 'databases answer', outcome: 'passed', because: null, isOfBackup: true, durationMs: 1200 }],
  durationMs: 500_000,
};

test('what was rehearsed is kept as evidence, newest first; one that is broken is left out', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'dbkit-drills-'));
  onTestFinished(() => rm(stateDir, { recursive: true, force: true }));
  const files = createFiles(createLogger('error', () => undefined));
  const evidence = openEvidence(stateDir, { files });
  expect(await evidence.all()).toEqual([]);
  const later = { ...day, at: '2026-11-29T10:00:00.000Z', kind: 'corruption' as const };
  for (const one of [day, later]) await evidence.keep(one);
  await files.write(join(stateDir, 'drills', '2026-11-30T10-00-00.000Z-corruption.json'), '{"schema":"dbkit.drilled/v1"}');
  expect(await evidence.all()).toEqual([later, day]);
});

test('a target that was missed is told although everything came back', async () => {
  const text = gameDayView(day, await createStyle(false));
  expect(text).toMatch(/total-loss: a target was missed; from data_20261128_020000 in repository, 7 rows in 2 tables/);
  expect(text).toContain('RTO 6 min 40 s, allowed are 5 min: missed');
  expect(text).toContain('lost: at most 1 transaction');
});

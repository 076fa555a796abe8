import { expect, test } from 'vitest';
import { decide, fill } from '../../src/kernel/reasons.ts';
import { type LogFacts, type LogRule, logFigures, logRules, planLogs } from '../../src/upkeep/log-retention.ts';
import {
  type IndexFacts,
  type IndexNeedId,
  indexFigures,
  indexNeeds,
  needsOf,
  type TableFacts,
  type TableNeedId,
  tableFigures,
  tableNeeds,
} from '../../src/upkeep/needs.ts';
import { everyRow } from '../harness/every-row.ts';

const MB = 1024 * 1024;
const table = (name: string, facts: Partial<TableFacts>): TableFacts => ({
  ...{ database: 'shop', name, sizeBytes: 100 * MB, liveRows: 100_000, deadRows: 0, changedRows: 0, isAnalyzed: true, agePercent: 5 },
  ...facts,
});
const index = (name: string, facts: Partial<IndexFacts>): IndexFacts => ({
  ...{ database: 'shop', name, table: 'orders', sizeBytes: 100 * MB, isValid: true, isLeftover: false, neededBytes: 90 * MB },
  ...facts,
});
everyRow<TableNeedId, TableFacts>(
  'a table',
  (facts) => {
    const { id, words } = decide(tableNeeds, facts);
    return { id, words: fill(words, tableFigures(facts)) };
  },
  {
    'wraparound-near': table('old', { agePercent: 95 }),
    'dead-rows': table('dead', { deadRows: 100_000 }),
    'never-analyzed': table('new', { isAnalyzed: false }),
    'rows-changed': table('changed', { changedRows: 50_000 }),
    'table-is-well': table('well', {}),
  },
);

everyRow<IndexNeedId, IndexFacts>(
  'an index',
  (facts) => {
    const { id, words } = decide(indexNeeds, facts);
    return { id, words: fill(words, indexFigures(facts)) };
  },
  {
    'rebuild-cut-off': index('a_ccnew', { isValid: false, isLeftover: true }),
    'index-invalid': index('invalid', { isValid: false }),
    'index-bloated': index('bloated', { neededBytes: 20 * MB }),
    'index-is-well': index('well', {}),
  },
);

const aLog: LogFacts = { sizeBytes: MB, isCurrent: false, ageMs: 0, keptBytes: 0, maxAgeMs: 1_000, maxSizeBytes: 100 * MB };
everyRow<LogRule, LogFacts>(
  'a log',
  (facts) => {
    const { id, words } = decide(logRules, facts);
    return { id, words: fill(words, logFigures(facts)) };
  },
  {
    'log-in-use-too-large': { ...aLog, isCurrent: true, sizeBytes: 30 * MB },
    'log-in-use': { ...aLog, isCurrent: true },
    'log-too-old': { ...aLog, ageMs: 2_000 },
    'logs-too-large': { ...aLog, keptBytes: 100 * MB },
    'log-young-and-small': aLog,
  },
);

const said = (...given: Parameters<typeof needsOf>): string[] => needsOf(...given).map(({ chore, target }) => `${chore} ${target}`);

test('every reason to help a table, the most useful first', () => {
  const tables = [
    table('well', {}),
    table('old', { agePercent: 95, sizeBytes: 200 * MB }),
    table('dead', { deadRows: 100_000 }),
    table('new', { isAnalyzed: false }),
    table('changed', { changedRows: 50_000 }),
    table('small', { deadRows: 900, liveRows: 10 }),
    table('empty', { isAnalyzed: false, liveRows: 0, sizeBytes: 0 }),
  ];
  expect(said(tables, [])).toEqual(['vacuum old', 'vacuum dead', 'analyze new', 'analyze changed']);
  expect(needsOf(tables, [])[1]).toMatchObject({
    benefitBytes: 50 * MB,
    because: '50 % of its rows are dead (100000)',
    statement: 'VACUUM (ANALYZE) dead',
  });
});

test('an index is rebuilt where it is invalid or mostly empty; what a cut-off rebuild left is dropped', () => {
  const indexes = [
    index('well', {}),
    index('bloated', { neededBytes: 20 * MB }),
    index('expression', { neededBytes: null }),
    index('little', { sizeBytes: 4 * MB, neededBytes: 1 * MB }),
    index('invalid', { isValid: false, sizeBytes: 50 * MB }),
    index('orders_key_ccnew', { isValid: false, isLeftover: true, sizeBytes: 0 }),
  ];
  expect(needsOf([], indexes).map(({ statement }) => statement)).toEqual([
    'REINDEX INDEX CONCURRENTLY bloated',
    'REINDEX INDEX CONCURRENTLY invalid',
    'DROP INDEX CONCURRENTLY IF EXISTS orders_key_ccnew',
  ]);
});

test('an index that a person has named like a leftover, and that works, stays', () => {
  expect(needsOf([], [index('mine_ccold', { isLeftover: true })])).toEqual([]);
});

test('logs go by age, then by size, the oldest first; one that is written to never goes', () => {
  const day = 86_400_000;
  const log = (name: string, days: number, sizeMb: number, isCurrent = false) => ({
    ...{ name, sizeBytes: sizeMb * MB, modifiedMs: -days * day, isCurrent },
  });
  const policy = { maxAgeMs: 30 * day, maxSizeBytes: 100 * MB, nowMs: 0 };
  const files = [log('f', 40, 1), log('a', 0, 10, true), log('b', 1, 60), log('c', 2, 50), log('d', 3, 30), log('e', 50, 20, true)];
  const decided = planLogs(files, policy).map(({ name, action }) => `${action} ${name}`);
  expect(decided).toEqual(['keep a', 'keep e', 'keep b', 'remove c', 'keep d', 'remove f']);
  expect(planLogs([log('a', 0, 30, true)], policy)[0]).toMatchObject({
    action: 'rotate',
    because: 'it is written to, and larger than a quarter of 100 MiB',
  });
});

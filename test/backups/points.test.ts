import { expect, test } from 'vitest';
import { type ReachFacts, reachRows } from '../../src/backups/base/points/reach.ts';
import { type ServeFacts, serveRows } from '../../src/backups/base/points/serve-rows.ts';
import { parseStatement, stands } from '../../src/backups/base/points/statement.ts';
import { endedAtMicros } from '../../src/backups/base/record.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { everyRow } from '../harness/every-row.ts';

const served: ReachFacts = {
  backups: 1,
  found: true,
  ambiguous: false,
  served: true,
  isEnd: false,
  beforeBackups: false,
  gap: false,
  minimal: false,
};

everyRow('can a moment be reached?', (facts: ReachFacts) => decide(reachRows, facts), {
  'point-without-backup': { ...served, backups: 0 },
  'point-name-twice': { ...served, ambiguous: true },
  'point-not-in-wal': { ...served, found: false },
  'point-before-backups': { ...served, served: false, beforeBackups: true },
  'point-behind-minimal-wal': { ...served, served: false, minimal: true },
  'point-in-a-gap': { ...served, served: false, gap: true },
  'point-after-the-last-commit': { ...served, served: false },
  'point-is-the-end': { ...served, isEnd: true },
  'point-between-records': served,
});

test.each([
  ['drop table orders', { kind: 'drop', schema: undefined, name: 'orders' }],
  ['DROP TABLE Shop.Orders;', { kind: 'drop', schema: 'shop', name: 'orders' }],
  ['drop table "My ""own"""', { kind: 'drop', schema: undefined, name: 'My "own"' }],
  ['truncate orders', { kind: 'truncate', schema: undefined, name: 'orders' }],
  ['TRUNCATE TABLE shop."Orders"', { kind: 'truncate', schema: 'shop', name: 'Orders' }],
  ['delete from orders', { kind: 'delete', schema: undefined, name: 'orders' }],
  ['drop database app', { kind: 'drop-database', schema: undefined, name: 'app' }],
] as const)('%s', (text, expected) => {
  expect(parseStatement(text)).toEqual(expected);
});

test.each(['', 'drop', 'drop table', 'drop table a; drop table b', 'update orders'])('%j is no such statement', (text) => {
  expect(() => parseStatement(text)).toThrow(/does not understand/);
});

test('a name without a schema means one of any schema', () => {
  const destruction = { kind: 'drop', database: 'app', names: ['public.x', 'shop.orders'], rows: 0 } as const;
  expect(stands(parseStatement('drop table orders'), destruction)).toBe(true);
  expect(stands(parseStatement('drop table shop.orders'), destruction)).toBe(true);
  expect(stands(parseStatement('drop table public.orders'), destruction)).toBe(false);
  expect(stands(parseStatement('truncate orders'), destruction)).toBe(false);
});

const serving: ServeFacts = {
  ownCluster: true,
  good: true,
  onTheWay: true,
  chosen: false,
  endsBehind: false,
  olderThanChosen: false,
};

everyRow('does a base backup serve a moment?', (facts: ServeFacts) => decide(serveRows, facts), {
  'serves-the-moment': { ...serving, chosen: true },
  'backup-of-another-cluster': { ...serving, ownCluster: false },
  'backup-is-damaged': { ...serving, good: false },
  'backup-off-the-timeline': { ...serving, onTheWay: false },
  'backup-ended-later': { ...serving, endsBehind: true },
  'backup-older-than-needed': { ...serving, olderThanChosen: true },
  'backup-without-the-way': serving,
});

test('a backup had ended when its record says that it was made, however long it took', () => {
  const createdAt = '2026-11-20T19:54:01.250Z';
  const atMicros = BigInt(Date.parse(createdAt)) * 1000n;
  expect(endedAtMicros({ createdAt })).toBe(atMicros + 1000n);
});

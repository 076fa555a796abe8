import { expect, test } from 'vitest';
import { type ReachFacts, reachRows } from '../../src/backups/base/points/reach.ts';
import { type ServeFacts, serveRows } from '../../src/backups/base/points/serve-rows.ts';
import { parseStatement, stands } from '../../src/backups/base/points/statement.ts';
import { endedAtMicros } from '../../src/backups/base/record.ts';
import { writeName } from '../../src/formats/identifiers.ts';
import { decide } from '../../src/kernel/reasons.ts';
import type { Destruction } from '../../src/wal/moments/moment.ts';
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
  ['drop table orders', { kind: 'drop', name: 'orders' }],
  ['DROP TABLE Shop.Orders;', { kind: 'drop', schema: 'shop', name: 'orders' }],
  ['drop table if exists app . shop . orders cascade ;', { kind: 'drop', database: 'app', schema: 'shop', name: 'orders' }],
  ['drop table "My ""own"""', { kind: 'drop', name: 'My "own"' }],
  ['drop table "a.b"', { kind: 'drop', name: 'a.b' }],
  ['drop table "My.Shop"."a.b"', { kind: 'drop', schema: 'My.Shop', name: 'a.b' }],
  ['drop view "if exists"', { kind: 'drop', name: 'if exists' }],
  ['drop table "x cascade"', { kind: 'drop', name: 'x cascade' }],
  ['drop table ÄPFEL$1', { kind: 'drop', name: 'Äpfel$1' }],
  [`drop table ${'x'.repeat(70)}`, { kind: 'drop', name: 'x'.repeat(63) }],
  [`drop table "${'ä'.repeat(40)}"`, { kind: 'drop', name: 'ä'.repeat(31) }],
  ['truncate orders', { kind: 'truncate', name: 'orders' }],
  ['TRUNCATE TABLE ONLY shop."Orders" RESTART IDENTITY CASCADE', { kind: 'truncate', schema: 'shop', name: 'Orders' }],
  ['delete from orders', { kind: 'delete', name: 'orders' }],
  ['delete\nfrom only shop.orders', { kind: 'delete', schema: 'shop', name: 'orders' }],
  ['drop database app', { kind: 'drop-database', name: 'app' }],
  ['drop database "My.App"', { kind: 'drop-database', name: 'My.App' }],
] as const)('%s', (text, expected) => {
  expect(parseStatement(text)).toEqual(expected);
});

test.each([
  '',
  'drop',
  'drop table',
  'drop table a; drop table b',
  'update orders',
  'drop table a.b.c.d',
  'drop database a.b',
  'drop table "a',
  'drop table a"b"',
  'drop table ""',
  'drop table 1a',
  'drop table a..b',
  'drop table .a',
  'drop table a.',
])('%j is no such statement', (text) => {
  expect(() => parseStatement(text)).toThrow(/does not understand/);
});

/** Tables that were dropped, as their schema and name are in the catalogs, by the commit in which they were. */
const drops = [
  ['public', 'orders'],
  ['public', 'Orders'],
  ['sales', 'orders'],
  ['Sales', 'orders'],
  ['public', 'a.b'],
  ['a', 'b'],
  ['public', 'b'],
  ['public', 'say "x"'],
  ['public', 'ä'],
  ['public', 'sales.orders'],
] as const;
test.each([
  ['drop table orders', ['public.orders', 'sales.orders', '"Sales".orders']],
  ['drop table Orders', ['public.orders', 'sales.orders', '"Sales".orders']],
  ['drop table "Orders"', ['public."Orders"']],
  ['drop table public."Orders"', ['public."Orders"']],
  ['drop table sales.orders', ['sales.orders']],
  ['drop table SALES.ORDERS', ['sales.orders']],
  ['drop table "Sales".orders', ['"Sales".orders']],
  ['drop table app.sales.orders', ['sales.orders']],
  ['drop table other.sales.orders', []],
  ['drop table "sales.orders"', ['public."sales.orders"']],
  ['drop table "a.b"', ['public."a.b"']],
  ['drop table a.b', ['a.b']],
  ['drop table b', ['a.b', 'public.b']],
  ['drop table "say ""x"""', ['public."say ""x"""']],
  ['drop table ä', ['public."ä"']],
  ['drop table "ORDERS"', []],
  ['truncate orders', []],
] as const)('%s means these commits', (text, expected) => {
  const found = drops
    .map((parts): Destruction => ({ kind: 'drop', database: 'app', names: ['public.x', writeName(parts)], rows: 0 }))
    .filter((destruction) => stands(parseStatement(text), destruction));
  expect(found.map(({ names }) => names[1])).toEqual(expected);
});

test('what is called by its file alone is meant by no name', () => {
  const destruction: Destruction = { kind: 'delete', database: 'app', names: ['file 5/16384'], rows: 5000 };
  expect(stands(parseStatement('delete from file'), destruction)).toBe(false);
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

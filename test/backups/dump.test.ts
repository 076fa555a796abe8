import { expect, test } from 'vitest';
import { deal, parseFailures } from '../../src/backups/dump/archive.ts';
import { chooseDatabases, type KnownDatabase } from '../../src/backups/dump/choose-databases.ts';
import { usualPath } from '../../src/backups/dump/mend-load.ts';
import { splitNames } from '../../src/backups/dump/settings.ts';
import { aroundRestore } from '../../src/backups/dump/special-extensions.ts';
import { nameBeside } from '../../src/backups/dump/swap.ts';
import { orderToc, parseToc } from '../../src/backups/dump/toc.ts';
import { asConnectionString } from '../../src/backups/dump/tools.ts';
import { tablesMissing } from '../../src/backups/dump/verify.ts';

const table = (name: string, rows: number) => ({ schema: 'public', name, rows });

test('the archive’s own contents name every table, whatever blanks its name has', () => {
  const contents = [
    '; Archive created at 2026-11-20',
    '215; 1259 16400 TABLE public odd name owner',
    '216; 1259 16403 MATERIALIZED VIEW public kept owner',
    '3; 0 16400 TABLE DATA public data only owner',
  ].join('\n');
  expect(tablesMissing({ tables: [table('odd name', 1), table('kept', 1)] }, contents)).toEqual([]);
  expect(tablesMissing({ tables: [table('data only', 1), table('other', 1)] }, contents)).toEqual(['public.data only', 'public.other']);
  expect(tablesMissing({ tables: [table('odd\nname', 1), { ...table('whatever it is called', 1), oid: 16403 }] }, contents)).toEqual([]);
  expect(tablesMissing({ tables: [{ ...table('odd name', 1), oid: 16401 }] }, contents)).toEqual(['public.odd name']);
});

const listing = [
  '2; 3079 16410 EXTENSION - hstore ',
  '9; 0 0 COMMENT - EXTENSION hstore ',
  '6; 2615 16390 SCHEMA - app postgres',
  '8; 0 0 ACL - SCHEMA app postgres',
  '222; 1255 16407 FUNCTION public etf() postgres',
  '219; 1259 16403 TABLE DATA t postgres', // A table in a schema called DATA.
  '3465; 0 16403 TABLE DATA DATA t postgres',
  '3466; 0 0 SEQUENCE SET public s postgres',
  '3315; 1259 16399 INDEX public t_idx postgres',
  '3316; 2606 16400 FK CONSTRAINT public t t_fk postgres',
  '3459; 6104 16409 PUBLICATION - p postgres',
  '3460; 6100 16539 SUBSCRIPTION - s postgres',
  '3313; 3466 16408 EVENT TRIGGER - et postgres',
  '3470; 0 0 COMMENT - EVENT TRIGGER et postgres',
  '3463; 0 16395 MATERIALIZED VIEW DATA public mv postgres',
];

test('an archive is brought back in an order in which nothing acts by itself before everything is there', () => {
  const order = orderToc(parseToc(['; a comment', ...listing].join('\n')));
  const ids = Object.fromEntries(Object.entries(order).map(([group, entries]) => [group, entries.map(({ id }) => id)]));
  expect(ids).toEqual({
    schemas: [6],
    before: [222, 219],
    data: [3465, 3466],
    indexes: [3315],
    after: [3316, 3463],
    privileges: [8],
    last: [3459, 3313, 3470],
    subscriptions: [3460],
  });
  const empty = orderToc(parseToc(listing.filter((line) => !/ DATA | SET /.test(line.slice(0, 30))).join('\n')));
  expect(
    empty.before.map(({ type }) => type),
    'without rows the type decides',
  ).toEqual(['FUNCTION']);
  expect(empty.after.map(({ type }) => type)).toEqual(['FK CONSTRAINT', 'MATERIALIZED VIEW DATA']);
});

test('pg_restore’s complaints are read by number, and only of what was asked for', () => {
  const said = [
    'pg_restore: while PROCESSING TOC:',
    'pg_restore: from TOC entry 3315; 1259 16399 INDEX t_idx postgres',
    'pg_restore: error: could not execute query: ERROR:  function twice(integer) does not exist',
    'Command was: CREATE INDEX "x',
    'pg_restore: from TOC entry 7; 0 0 FORGED',
    'pg_restore: error: COPY failed for table "t": ERROR:  no',
    'pg_restore: warning: errors ignored on restore: 2',
  ].join('\n');
  expect([...parseFailures(said, new Set([3315, 3316]))]).toEqual([[3315, 'function twice(integer) does not exist']]);
});

test('the largest tables are dealt out first', () => {
  const shares = deal([1, 9, 5, 4], (size) => size, 2);
  expect(shares.map((share) => share.reduce((sum, size) => sum + size, 0)).sort()).toEqual([10, 9]);
  expect(deal([], () => 1, 4)).toEqual([]);
});

test('the name under which a database is kept fits, whatever it is called', () => {
  const label = 'replaced_20261120_195400';
  expect(nameBeside('app', label)).toBe('app_replaced_20261120_195400');
  expect(nameBeside('n'.repeat(45), label)).toBe(`${'n'.repeat(45)}_20261120_195400`);
  for (const name of ['n'.repeat(63), 'ü'.repeat(31), '😀'.repeat(15)]) {
    const kept = nameBeside(name, label);
    expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(63);
    expect(kept.endsWith(label) && name.startsWith(kept.slice(0, -label.length - 1))).toBe(true);
  }
});

const known = (name: string, more: Partial<KnownDatabase> = {}): KnownDatabase => ({
  name,
  oid: '1',
  isTemplate: false,
  isOpen: true,
  isInvalid: false,
  ...more,
});

test('a database that is not dumped is named, with the reason; one that is named and cannot be is refused', () => {
  const all = [
    known('app'),
    known('ground', { isTemplate: true }),
    known('half', { isInvalid: true }),
    known('postgres'),
    known('shut', { isOpen: false }),
  ];
  const names = (wanted: Parameters<typeof chooseDatabases>[1]) => {
    const { chosen, leftOut } = chooseDatabases(all, wanted);
    return [chosen.map(({ name }) => name), leftOut.map(({ database }) => database)];
  };
  expect(names(undefined)).toEqual([['app'], ['ground', 'half', 'shut']]);
  expect(names('all')).toEqual([
    ['app', 'ground', 'postgres'],
    ['half', 'shut'],
  ]);
  expect(names(['ground'])).toEqual([['ground'], []]);
  expect(() => names(['shut'])).toThrow(/cannot be dumped/);
  expect(() => names(['nowhere'])).toThrow(/there is no database nowhere/);
  expect(chooseDatabases([known('postgres')], undefined).chosen).toHaveLength(1);
});

test('functions get the path that sessions of the owner have', () => {
  const database = { owner: 'app', settings: [], roleSettings: [] } as unknown as Parameters<typeof usualPath>[1];
  const path = (name: string) => [{ name: 'search_path', value: name }];
  expect(usualPath({ roles: [] }, database)).toEqual(['app', 'public']);
  expect(usualPath({ roles: [] }, { ...database, settings: path('a, b') })).toEqual(['a', 'b']);
  const ofRole = { roles: [{ name: 'app', settings: path('mine') }] } as unknown as Parameters<typeof usualPath>[0];
  expect(usualPath(ofRole, { ...database, settings: path('a, b') })).toEqual(['mine']);
  expect(usualPath(ofRole, { ...database, roleSettings: [{ role: 'app', ...path('here')[0]! }] })).toEqual(['here']);
});

test('a database’s name is never taken for more than a name', () => {
  expect(asConnectionString('app')).toBe("dbname='app'");
  expect(asConnectionString("x' host=evil \\")).toBe("dbname='x\\' host=evil \\\\'");
});

test('extensions that must not act while their own rows are loaded are told so', () => {
  const quoted = (name: string): string => `"${name}"`;
  expect(aroundRestore([{ name: 'pg_trgm' }], quoted)).toEqual({ before: [], after: [] });
  expect(aroundRestore([{ name: 'timescaledb' }, { name: 'pg_trgm' }], quoted).after).toEqual([
    'SELECT "public".timescaledb_post_restore()',
  ]);
  expect(aroundRestore([{ name: 'timescaledb', schema: 'series' }], quoted).before, 'no search_path leads there').toEqual([
    'SELECT "series".timescaledb_pre_restore()',
  ]);
});

test('a list of names that a role is set to stays a list', () => {
  expect(splitNames('"$user", public')).toEqual(['$user', 'public']);
  expect(splitNames('"a ""b"", c",d')).toEqual(['a "b", c', 'd']);
  expect(splitNames('')).toEqual([]);
});

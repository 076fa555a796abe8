import { expect, test } from 'vitest';
import { requireSame } from '../../src/backups/dump/scratch-database.ts';
import { splitNames } from '../../src/backups/dump/settings.ts';
import { aroundRestore } from '../../src/backups/dump/special-extensions.ts';
import { asConnectionString } from '../../src/backups/dump/tools.ts';
import { tablesMissing } from '../../src/backups/dump/verify.ts';

const table = (name: string, rows: number) => ({ schema: 'public', name, rows });

test('a restore is right when every table has as many rows as the dump', () => {
  requireSame([table('a', 1), table('b', 0)], [table('b', 0), table('a', 1), table('more', 5)]);
  expect(() => requireSame([table('a', 1), table('b', 2), table('c', 3)], [table('a', 1), table('b', 1)])).toThrow(
    /public\.b has 1 rows instead of 2, public\.c is missing/,
  );
});

test('the archive’s own contents name every table, whatever blanks its name has', () => {
  const contents = [
    '; Archive created at 2026-11-20',
    '215; 1259 16400 TABLE public odd name owner',
    '216; 1259 16403 MATERIALIZED VIEW public kept owner',
    '3; 0 16400 TABLE DATA public data only owner',
  ].join('\n');
  expect(tablesMissing({ tables: [table('odd name', 1), table('kept', 1)] }, contents)).toEqual([]);
  expect(tablesMissing({ tables: [table('data only', 1), table('other', 1)] }, contents)).toEqual(['public.data only', 'public.other']);
});

test('a database’s name is never taken for more than a name', () => {
  expect(asConnectionString('app')).toBe("dbname='app'");
  expect(asConnectionString("x' host=evil \\")).toBe("dbname='x\\' host=evil \\\\'");
});

test('extensions that must not act while their own rows are loaded are told so', () => {
  expect(aroundRestore([{ name: 'pg_trgm' }])).toEqual({ before: [], after: [] });
  const { before, after } = aroundRestore([{ name: 'timescaledb' }, { name: 'pg_trgm' }]);
  expect(before.at(-1)).toMatch(/timescaledb_pre_restore/);
  expect(after).toEqual(['SELECT timescaledb_post_restore()']);
});

test('a list of names that a role is set to stays a list', () => {
  expect(splitNames('"$user", public')).toEqual(['$user', 'public']);
  expect(splitNames('"a ""b"", c",d')).toEqual(['a "b", c', 'd']);
  expect(splitNames('')).toEqual([]);
});

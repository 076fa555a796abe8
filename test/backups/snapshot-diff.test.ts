import { expect, test } from 'vitest';
import { compareRows, compareSchemas } from '../../src/backups/snapshots/compare.ts';
import type { SchemaObject } from '../../src/backups/snapshots/schema-objects.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { diffView } from '../../src/cli/snapshot-diff.ts';

const object = (kind: SchemaObject['kind'], name: string, definition: string, table: string | null = null): SchemaObject => ({
  kind,
  name,
  definition,
  table,
});

const before = [
  object('table', 'public.users', 'owner app'),
  object('column', 'public.users.email', 'text', 'public.users'),
  object('index', 'public.users_email', 'CREATE INDEX …', 'public.users'),
];
const after = [
  object('table', 'public.users', 'owner app'),
  object('column', 'public.users.email', 'text NOT NULL', 'public.users'),
  object('table', 'public.orders', 'owner app'),
  object('column', 'public.orders.id', 'integer', 'public.orders'),
];

test('objects are added, removed or changed, and the same ones are not told', () => {
  expect(compareSchemas(before, after).map(({ change, name }) => `${change} ${name}`)).toEqual([
    'added public.orders.id',
    'changed public.users.email',
    'removed public.users_email',
    'added public.orders',
  ]);
  expect(compareSchemas(before, before)).toEqual([]);
});

test('a table and an index of one name are two objects', () => {
  expect(compareSchemas([object('table', 'a', '')], [object('index', 'a', '')])).toHaveLength(2);
});

test('numbers of rows are told where they differ, also of tables that are gone', () => {
  const was = new Map([
    ['a', 1],
    ['b', 2],
    ['gone', 0],
  ]);
  const is = new Map([
    ['a', 1],
    ['b', 3],
    ['new', 4],
  ]);
  expect(compareRows(was, is)).toEqual([
    { table: 'b', before: 2, after: 3 },
    { table: 'gone', before: 0, after: null },
    { table: 'new', before: null, after: 4 },
  ]);
});

test('a person reads what changed; the columns of a new table are not listed beside it', async () => {
  const report = {
    name: 'before-migration',
    database: 'app',
    at: '2026-11-28T17:22:33.000Z',
    same: false,
    schema: compareSchemas(before, after),
    rows: [{ table: 'public.orders', before: null, after: 12 }],
    tables: 2,
  };
  expect(diffView(report, await createStyle(false))).toBe(`app since before-migration, 2026-11-28 17:22:33 UTC:

~  column  public.users.email  text → text NOT NULL
-  index   public.users_email
+  table   public.orders

TABLE          ROWS BEFORE  ROWS NOW
public.orders  -            12`);
});

import { expect, test } from 'vitest';
import { hashOf, newValue } from '../../src/backups/pull/made-up.ts';
import { readRules } from '../../src/backups/pull/rules.ts';
import { inEverySchema, means } from '../../src/backups/pull/table-patterns.ts';

test('rules: every way to say one, and the schema is public where none is named', () => {
  const rules = readRules(
    { users: { email: { fake: 'email' }, phone: null, token: 'hash' }, 'shop.cards': { number: { constant: 0 } } },
    'r.yaml',
  );
  expect(rules).toEqual([
    { schema: 'public', table: 'users', column: 'email', rule: { kind: 'fake', fake: 'email' } },
    { schema: 'public', table: 'users', column: 'phone', rule: { kind: 'null' } },
    { schema: 'public', table: 'users', column: 'token', rule: { kind: 'hash' } },
    { schema: 'shop', table: 'cards', column: 'number', rule: { kind: 'constant', value: '0' } },
  ]);
});

test.each([
  [undefined],
  [{}],
  [[]],
  [{ users: {} }],
  [{ users: { a: 'hsah' } }],
  [{ users: { a: { fake: 'dog' } } }],
  [{ 'a.b.c': { d: null } }],
])('rules that cannot be obeyed are refused: %j', (value) =>
  expect(() => readRules(value, 'r.yaml')).toThrow(expect.objectContaining({ code: 'usage.invalid' })),
);

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const at = (name: string, category: string, lengthMax: number | null = null) => ({
  type: { name, category, lengthMax },
  hash: 'h',
  literal,
  place: 'public.users.a',
});

test('a value fits its column', () => {
  expect(newValue({ kind: 'null' }, at('text', 'S'))).toBe('NULL');
  expect(newValue({ kind: 'constant', value: "it's" }, at('date', 'D'))).toBe("'it''s'");
  expect(newValue({ kind: 'hash' }, at('varchar', 'S', 20))).toBe('pg_catalog.left(h, 20)');
  expect(newValue({ kind: 'fake', fake: 'email' }, at('varchar', 'S', 20))).toBe(
    "pg_catalog.left(pg_catalog.substr(h, 1, 8) || '@example.com', 20)",
  );
  expect(newValue({ kind: 'hash' }, at('uuid', 'U'))).toContain('::uuid');
  expect(newValue({ kind: 'fake', fake: 'date' }, at('timestamptz', 'D'))).toContain('timestamptz');
  for (const rule of [{ kind: 'hash' }, { kind: 'fake', fake: 'name' }] as const)
    expect(() => newValue(rule, at('jsonb', 'U'))).toThrow(expect.objectContaining({ code: 'usage.invalid' }));
  expect(() => newValue({ kind: 'fake', fake: 'email' }, at('int4', 'N'))).toThrow(/public\.users\.a is of the type int4/);
});

test('a hash is made of the value and of the salt', () => {
  expect(hashOf('"email"', "'s'")).toBe(`pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to('s' || "email"::text, 'UTF8')), 'hex')`);
});

test.each([
  ['audit', '*.audit'],
  ['shop.audit', 'shop.audit'],
  ['"a.b"', '*."a.b"'],
  ['"s.t"."a.b"', '"s.t"."a.b"'],
])('the pattern %s is given to pg_dump as %s', (pattern, given) => expect(inEverySchema(pattern)).toBe(given));

test.each([
  ['aud*', 'public', 'audit', true],
  ['AUD*', 'public', 'audit', true],
  ['aud?', 'public', 'audit', false],
  ['shop.*', 'shop', 'cards', true],
  ['shop.*', 'public', 'cards', false],
  ['"Odd Table"', 'public', 'Odd Table', true],
  ['"a.b"', 'public', 'a.b', true],
  ['a.b', 'public', 'a.b', false],
])('%s means %s.%s: %s', (pattern, schema, name, meant) => expect(means(pattern, { schema, name })).toBe(meant));

import { expect, test } from 'vitest';
import { asSeed, isEdited, manifestFile, manifestOf, readSeedManifest } from '../../src/backups/seed/seed-file.ts';
import { needsPsql, splitStatements } from '../../src/instance/initialize/sql-statements.ts';

const dumped = `--
-- PostgreSQL database dump
--

\\restrict abc
-- Dumped from database version 15.1
SET statement_timeout = 0;
SET transaction_timeout = 0;
CREATE TABLE public.a (i integer);
INSERT INTO public.a VALUES (1), (2);
\\unrestrict abc
`;

test('a seed needs no psql, says nothing of the server that it was made on, and belongs to the owner of the database', () => {
  const seed = asSeed(dumped);
  expect(needsPsql(seed)).toBe(false);
  expect(seed).not.toMatch(/restrict|transaction_timeout|15\.1/);
  expect(splitStatements(seed)[0]).toContain("set_config('role'");
  expect(splitStatements(seed)).toHaveLength(4);
});

test('lines within a value stay as they are, whatever they look like', () => {
  const value =
    "INSERT INTO public.a VALUES ('\n-- Dumped from database version 1\n\\restrict abc\n\\unrestrict abc\nSET transaction_timeout = 0;\n');";
  expect(asSeed(dumped.replace('\\unrestrict', `${value}\n\\unrestrict`))).toContain(value);
});

test('a manifest tells a seed that was edited', () => {
  const manifest = manifestOf('text', { database: 'app', pgVersion: 15, tables: [{ table: 'public.a', rows: 2 }] });
  expect(readSeedManifest(JSON.stringify(manifest))).toEqual(manifest);
  expect(isEdited('text', manifest)).toBe(false);
  expect(isEdited('text ', manifest)).toBe(true);
  expect(readSeedManifest('{')).toBeUndefined();
  expect(readSeedManifest('{}')).toBeUndefined();
});

test('the manifest is no init script', () => expect(manifestFile('seed/50-seed.sql')).toBe('seed/50-seed.json'));

test.each([
  '\\! touch /tmp/x',
  'SELECT 1 \\o |cat',
  "\\copy a to program 'x'",
  '\\.',
  'SELECT 1; \\g |x',
  "SELECT 'a'\\!x",
  '$$ $$ \\! x',
  '/* */ \\! x',
])('a dump with a command of psql’s becomes no seed: %s', (line) => {
  expect(() => asSeed(`${dumped.replace('\\unrestrict abc\n', '')}${line}\n`)).toThrow(/command of psql/);
});

test.each(["SELECT '\\! x'", 'SELECT $a$\n\\! x\n$a$', '-- \\! x', '/* \n\\! x */ SELECT 1', "SELECT E'\\'\\! x'", 'SELECT "\\! x"'])(
  'a backslash in a text, a name or a comment is none: %s',
  (line) => {
    expect(asSeed(`${dumped}${line};\n`)).toContain(line);
  },
);

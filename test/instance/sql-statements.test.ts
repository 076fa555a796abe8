import { describe, expect, test } from 'vitest';
import { needsPsql, splitStatements } from '../../src/instance/initialize/sql-statements.ts';
import { atomic, statements } from './sql-statements.ts';

describe('a statement that holds semicolons stays one', () => {
  test.each([...statements, ...atomic])('%s', (statement) => {
    expect(splitStatements(`SELECT 'before';${statement};SELECT 'after'`)).toEqual(["SELECT 'before'", statement, "SELECT 'after'"]);
  });
  test('all of them in one script', () => expect(splitStatements(statements.join(';\n'))).toEqual(statements));
});

test('what is not closed goes on to the end, where the server says so', () => {
  for (const open of ['/* ; /* */ ;', "'; ", '"; ', "E'\\", "E'\\'; ", '$a$; $$; ', '(; '])
    expect(splitStatements(`SELECT 1; SELECT ${open}`), open).toEqual(['SELECT 1', `SELECT ${open}`.trim()]);
  expect(splitStatements('SELECT 1 ); SELECT (2)')).toEqual(['SELECT 1 )', 'SELECT (2)']);
});

test('a script that ends in comments has no statement there', () => {
  expect(splitStatements('SELECT 1; -- the end\n/* of /* it */ all */\n')).toEqual(['SELECT 1']);
});

test('a long string costs no stack', () => {
  const long = "''".repeat(3_000_000);
  expect(splitStatements(`SELECT '${long};'; SELECT E'${'\\n'.repeat(3_000_000)};'`)).toHaveLength(2);
});

test('psql’s own words inside a nested comment are no commands', () => {
  expect(needsPsql('/* /* */\n\\connect app\n*/ SELECT 1')).toBe(false);
  expect(needsPsql('/* /* */ */\n\\connect app')).toBe(true);
  expect(needsPsql("SELECT E'\n'\n'\n\\d'")).toBe(false);
});

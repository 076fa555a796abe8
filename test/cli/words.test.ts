import { describe, expect, test } from 'vitest';
import { splitWords } from '../../src/instance/initialize/split-words.ts';
import { needsPsql, splitStatements } from '../../src/instance/initialize/sql-statements.ts';
import { makeLabel, momentAfter, newestFirst, parseLabel } from '../../src/kernel/labels.ts';

describe('labels', () => {
  test('a label names what and when, in UTC', () => {
    expect(makeLabel('corrupt', new Date('2026-11-20T19:54:00.123Z'))).toBe('corrupt_20261120_195400');
  });
  test('labels sort in the order in which they were made, also when the clock was set back', () => {
    const noon = new Date('2026-11-20T12:00:00Z');
    expect(momentAfter([], noon)).toEqual(noon);
    expect(momentAfter(['data_20261120_115959'], noon)).toEqual(noon);
    expect(momentAfter(['data_20261120_120000'], noon), 'in the same second').toEqual(new Date('2026-11-20T12:00:01Z'));
    expect(momentAfter(['data_20261120_125959', 'data_20261120_110000'], noon), 'an hour back').toEqual(new Date('2026-11-20T13:00:00Z'));
    expect(momentAfter(['data_20361120_120000', 'lost+found'], noon), 'ten years back').toEqual(new Date('2036-11-20T12:00:01Z'));
    const labels = ['dump_20261120_120000', 'data_20261120_120001', 'data_20261120_115959'].map((label) => ({ label }));
    expect([...labels].sort(newestFirst).map(({ label }) => label)).toEqual([
      'data_20261120_120001',
      'dump_20261120_120000',
      'data_20261120_115959',
    ]);
  });

  test('a label is read back; anything else is not one', () => {
    expect(parseLabel('data_20261120_195400')).toEqual({ kind: 'data', at: new Date('2026-11-20T19:54:00Z') });
    expect(parseLabel('data_20261320_195400')).toBeUndefined();
    expect(parseLabel('data_20261120_195400.json')).toBeUndefined();
  });
});

describe('arguments in a variable', () => {
  test.each([
    ['--locale=C  --wal-segsize=64', ['--locale=C', '--wal-segsize=64']],
    [`--x='a b' "c \\"d\\"" e\\ f`, ['--x=a b', 'c "d"', 'e f']],
    ['', []],
    [`-c '$(rm -rf /)'`, ['-c', '$(rm -rf /)']],
  ])('%s', (line, words) => expect(splitWords(line)).toEqual(words));
});

describe('scripts without psql', () => {
  test('statements end at semicolons outside quotes, dollar quotes and comments', () => {
    const script = `CREATE TABLE t (a text DEFAULT 'x;y'); -- no; end\nCREATE FUNCTION f() RETURNS int AS $body$ BEGIN RETURN 1; END $body$ LANGUAGE plpgsql;\n/* ; */ SELECT "a;b" FROM t`;
    expect(splitStatements(script)).toHaveLength(3);
    expect(splitStatements(script)[1]).toContain('RETURN 1; END');
  });
  test('an E string keeps its escaped quote', () => expect(splitStatements(`SELECT E'it\\'s; fine'; SELECT 2`)).toHaveLength(2));
  test.each([
    'CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN i > 0 THEN 1 END; SELECT 2; END',
    'CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); END',
    'CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a VALUES (1); INSERT INTO b VALUES (2))',
  ])('%s is one statement', (statement) => expect(splitStatements(`${statement};\nSELECT 1;`)).toEqual([statement, 'SELECT 1']));
  test('a transaction is several', () => expect(splitStatements('BEGIN; CREATE TABLE "begin" (a int); END;')).toHaveLength(3));
  test('psql’s own language is recognised', () => {
    expect(needsPsql('\\connect app\nSELECT 1;')).toBe(true);
    expect(needsPsql('COPY t FROM STDIN;\n1\n\\.\n')).toBe(true);
    expect(needsPsql("SELECT '\\d';")).toBe(false);
    expect(needsPsql("INSERT INTO t VALUES ('first\n\\d\ncopy a from stdin');")).toBe(false);
  });
});

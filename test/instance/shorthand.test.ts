import { expect, test } from 'vitest';
import { resultsCsv, resultsView } from '../../src/cli/output/results.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { shorthandFor, shorthands } from '../../src/instance/shorthand.ts';

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

test('psql’s commands are known with and without a name, and what is none is not', () => {
  for (const { command } of shorthands) expect(shorthandFor(command, literal)).toMatch(/^SELECT /);
  expect(shorthandFor('\\d "Odd one";', literal)).toContain(`'"Odd one"'::pg_catalog.regclass`);
  expect(shorthandFor("\\d x'; DROP TABLE y", literal)).toContain("'x''; DROP TABLE y'::pg_catalog.regclass");
  expect(shorthandFor('\\dt+', literal)).toBe(shorthandFor('\\dt', literal));
  expect(shorthandFor('\\copy t from x', literal)).toBeUndefined();
});

const results = [
  { command: 'CREATE', rowCount: null, columns: [], rows: [] },
  {
    command: 'SELECT',
    rowCount: 2,
    columns: ['a', 'b'],
    rows: [
      ['1', null],
      ['x,"y"', ''],
    ],
  },
];

test('rows are printed as CSV that tells NULL from an empty text, and as a table with their count', async () => {
  expect(resultsCsv(results)).toBe('a,b\n1,\n"x,""y""",""');
  expect(resultsView(results, await createStyle(false))).toBe('CREATE\n\na      b\n1      ∅\nx,"y"\n(2 rows)');
});

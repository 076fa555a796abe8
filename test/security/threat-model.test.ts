import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** The table of docs/SECURITY.md: who may write what, what dbkit does there, and the tests that hold it to that. */
const rows = readFileSync('docs/SECURITY.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && line.includes('.test.ts'))
  .map((line) => line.split(' | '));
const testsOf = (row: readonly string[]): string[] => [...row.at(-1)!.matchAll(/`(test\/[^`]+\.test\.ts)`/g)].map(([, name]) => name!);

test.each(rows.map((row) => [`${row[0]!.slice(2)}: ${row[1]}`, row] as const))('%s', (_name, row) => {
  expect(row).toHaveLength(4);
  expect(testsOf(row).length).toBeGreaterThan(0);
  for (const name of testsOf(row))
    expect(existsSync(name) && /\b(test|nightly)\b[.\w]*\(/.test(readFileSync(name, 'utf8')), name).toBe(true);
});

test('every test of test/security is named by a row', () => {
  const named = new Set(rows.flatMap(testsOf));
  const tests = readdirSync('test/security').filter((name) => name.endsWith('.test.ts') && name !== 'threat-model.test.ts');
  expect(tests.map((name) => join('test/security', name)).filter((name) => !named.has(name))).toEqual([]);
});

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, test } from 'vitest';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
/** Test files by the name that the documents call them: with servers of their own (`.live`) or without. */
const tests = readdirSync(new URL('../', import.meta.url), { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.test.ts'),
);
const testsNamed = (name: string): string[] => tests.filter((path) => basename(path).replace(/(\.live)?\.test\.ts$/, '') === name);
const isThere = (path: string): boolean => existsSync(new URL(`../../${path}`, import.meta.url));

test('docs/BACKUPS.md names only code that is there, and words that this code has', () => {
  const rows = read('docs/BACKUPS.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| item'));
  expect(rows.length).toBeGreaterThan(40);
  const inSource = (path: string): string => `src/${path}`;
  const wrong: string[] = [];
  for (const row of rows) {
    const files = [...row.matchAll(/`([\w/-]+\.ts)`/g)].map(([, path]) => inSource(path!));
    wrong.push(...files.filter((path) => !isThere(path)));
    for (const [, path, name] of row.matchAll(/`([\w/-]+\.ts)`,? ([a-z]+[A-Z]\w+)/g))
      if (isThere(inSource(path!)) && !files.some((file) => read(file).includes(name!))) wrong.push(`${path} has no ${name}`);
  }
  expect(wrong).toEqual([]);
});

test('docs/BACKUPS.md names only tests that are there', () => {
  const cells = read('docs/BACKUPS.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| item'))
    .map((line) => line.split('|').at(-2)!.trim());
  const files = cells.flatMap((cell) => [...cell.matchAll(/(?:^|[;,] )([a-z-]+)(?=[:;,]|$| with|, on)/g)].map(([, name]) => name!));
  expect(files.filter((name) => !['fault', 'same', '-'].includes(name) && testsNamed(name).length === 0)).toEqual([]);
});

test('docs/HEALTH.md names only tests that are there, and every staged situation', () => {
  const named = [...read('docs/HEALTH.md').matchAll(/(?:\| |\()([a-z-]+): ([^|]+?)(?: \||\))$/gm)].map(([, file, title]) => ({
    file: file!,
    title: title!,
  }));
  expect(named.length).toBeGreaterThan(35);
  expect(named.filter(({ file, title }) => !testsNamed(file).some((path) => read(`test/${path}`).includes(title)))).toEqual([]);
  const staged = [...read('test/health/staged-situations.live.test.ts').matchAll(/^ {4}name: '(.+)',$/gm)].map(([, name]) => name!);
  expect(staged.length).toBeGreaterThanOrEqual(15);
  expect(staged.filter((name) => !named.some(({ title }) => title === name))).toEqual([]);
});

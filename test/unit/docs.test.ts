import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const isThere = (path: string): boolean => existsSync(new URL(`../../${path}`, import.meta.url));

test('docs/BACKUPS.md names only code that is there, and words that this code has', () => {
  const rows = read('docs/BACKUPS.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| item'));
  expect(rows.length).toBeGreaterThan(40);
  const inSource = (path: string): string => (/^(core|usecases|cli|output|system)\//.test(path) ? `src/${path}` : `src/postgres/${path}`);
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
  const files = cells.flatMap((cell) =>
    [...cell.matchAll(/(?:^|[;,] )(unit\/)?([a-z-]+)(?=[:;,]|$| with|, on)/g)].map(([, unit, name]) => ({ unit, name: name! })),
  );
  const missing = files.filter(({ unit, name }) => {
    if (unit) return !isThere(`test/unit/${name}.test.ts`);
    return !['fault', 'same', '-'].includes(name) && !isThere(`test/integration/${name}.test.ts`) && !name.includes(' ');
  });
  expect(missing.map(({ name }) => name)).toEqual([]);
});

test('docs/HEALTH.md names only tests that are there, and every staged situation', () => {
  const named = [...read('docs/HEALTH.md').matchAll(/(?:\| |\()((?:unit\/)?[a-z-]+): ([^|]+?)(?: \||\))$/gm)].map(([, file, title]) => ({
    path: file!.startsWith('unit/') ? `test/${file}.test.ts` : `test/integration/${file}.test.ts`,
    title: title!,
  }));
  expect(named.length).toBeGreaterThan(35);
  const texts = new Map(named.map(({ path }) => [path, isThere(path) ? read(path) : '']));
  expect(named.filter(({ path, title }) => !texts.get(path)!.includes(title))).toEqual([]);
  const staged = [...read('test/integration/staged-situations.test.ts').matchAll(/^ {4}name: '(.+)',$/gm)].map(([, name]) => name!);
  expect(staged.length).toBeGreaterThanOrEqual(15);
  expect(staged.filter((name) => !named.some(({ title }) => title === name))).toEqual([]);
});

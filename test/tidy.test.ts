import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { environment } from '../src/core/config.ts';

/** Who may import whom. A folder that is not named here may not exist; compose.ts and main.ts import anything, and nothing imports them. */
const layers: Record<string, readonly string[]> = {
  core: [],
  output: ['core'],
  usecases: ['core'],
  cli: ['usecases', 'output', 'core'],
  system: ['core'], // Adapters never see one another.
  postgres: ['core'],
  services: ['core'],
  alerts: ['core'],
};

/** Each of these has exactly one home. */
const homes: readonly (readonly [pattern: RegExp, home: RegExp])[] = [
  [/process\.exit\(/, /^$/],
  [/Date\.now\(|new Date\(\)/, /^system\/clock\.ts$/],
  [/['"]execa['"]/, /^system\/runner\.ts$/],
  [/from 'node:child_process'/, /^system\/child\.ts$/],
  [/['"]chalk['"]/, /^output\/style\.ts$/],
  [/['"]inquirer['"]/, /^output\/prompt\.ts$/],
  [/import\('pg'\)|from 'pg'/, /^postgres\/connection\.ts$/],
  [/process\.env\b/, /^main\.ts$/],
  [/console\.(log|error|warn)/, /^$/],
  [/TODO|FIXME|XXX|@ts-(ignore|expect-error|nocheck)|biome-ignore|\bas any\b/, /^$/],
];

/** Names that say nothing. */
const emptyNames = /(^|[/-])(utils?|helpers?|common|manager|misc)([./-]|$)|(^|\/)index\.ts$/;
const LINES_MAX = 250;

const src = resolve('src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

test.each(files)('%s', (file) => {
  const text = readFileSync(join(src, file), 'utf8');
  const layer = file.split('/')[0]!;
  if (file.includes('/')) expect(Object.keys(layers), `${layer}/ is not a layer`).toContain(layer);
  for (const [, specifier] of text.matchAll(/(?:from |import\()'(\.[^']+)'/g)) {
    const target = relative(src, resolve(src, dirname(file), specifier!)).split('/')[0]!;
    if (layers[layer] && target !== layer) expect(layers[layer], `${file} imports ${specifier}`).toContain(target);
  }
  for (const [pattern, home] of homes) if (!home.test(file)) expect(text, `${pattern} does not belong in ${file}`).not.toMatch(pattern);
  expect(file, 'a name that says nothing').not.toMatch(emptyNames);
  expect(text.split('\n').length, `${file} is long: is it one idea?`).toBeLessThanOrEqual(LINES_MAX);
});

test('every environment variable is in the README', () => {
  const readme = readFileSync('README.md', 'utf8');
  expect(Object.keys(environment).filter((name) => !readme.includes(name))).toEqual([]);
});

test('the top level holds what the house rules allow', () => {
  const allowed =
    /^(bin|src|\.devcontainer|test|bench|deploy|docs|\.ci|\.git.*|\.npmrc|\.pre-commit-hooks\.yaml|package(-lock)?\.json|tsconfig\.json|README\.md|LICENSE|CHANGELOG\.md|biome\.json|.*\.config\.(ts|mjs)|node_modules|dist|\.dbkit|\.DB_(data|logs|backups))$/;
  expect(readdirSync('.').filter((name) => !allowed.test(name))).toEqual([]);
});

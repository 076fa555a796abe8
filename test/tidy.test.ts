import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** The nouns, in the order of the house: each imports only those before it. compose.ts and main.ts import anything, and nothing imports them. */
const nouns = [
  'kernel',
  'alerts',
  'config',
  'machine',
  'formats',
  'instance',
  'inspection',
  'store',
  'wal',
  'backups',
  'pgbackrest',
  'recovery',
  'boot',
  'restore',
  'salvage',
  'upkeep',
  'upgrade',
  'health',
  'control',
  'monitor',
  'cluster',
  'supervisor',
  'incident',
  'homes',
  'cli',
];

/** Each of these has exactly one home. */
const homes: readonly (readonly [pattern: RegExp, home: RegExp])[] = [
  [/process\.exit\(/, /^$/],
  [/Date\.now\(|new Date\(\)/, /^machine\/clock\.ts$/],
  [/['"]execa['"]/, /^machine\/runner\.ts$/],
  [/from 'node:child_process'/, /^machine\/child\.ts$/],
  [/['"]chalk['"]/, /^cli\/output\/style\.ts$/],
  [/['"]inquirer['"]/, /^cli\/output\/prompt\.ts$/],
  [/import\('pg'\)|from 'pg'/, /^instance\/connection\.ts$/],
  [/\bconnect\b[^;]*from '[^']*\/connection\.ts'/, /^instance\/sessions\.ts$/], // Who asks, and with which settings, is decided once.
  [/process\.env\b/, /^main\.ts$/],
  [/AbortSignal\.(any|timeout)\(/, /^$/], // Node 20 may collect them before they fire: kernel/deadline.ts holds its timers.
  [/console\.(log|error|warn)/, /^$/],
  [/(access|lstat|stat)\([^;]*\)\.then\(\s*\(\) => true,\s*\(\) => false/, /^machine\/is-there\.ts$/], // "Is it there?" has one answer.
  [/'ENOENT'\) return (undefined|\[\]|'');[^\n]*\n\s*throw (cause|thrown);/, /^kernel\/errors\.ts$/], // `.catch(unlessMissing)`.
  [/['`]\/proc[^\n]*\.catch\(\(\) =>/, /^(instance\/guard\/(ports|preflight)|supervisor\/doctor\/doctor)\.ts$/], // `.catch(unlessOwnTrouble)`; there it names a holder, or counts as a server.
  [/\bcode[)]?\.(startsWith|endsWith|includes|match|split)\(|\.test\(code\)/, /^inspection\/findings\.ts$/], // A code is compared whole, or by its family.
  [/TODO|FIXME|XXX|@ts-(ignore|expect-error|nocheck)|biome-ignore|\bas any\b/, /^$/],
];

/** A row of a decision table, and what its file must not import: a decision is made of facts, so that every row can have a test. */
const decisionRow = /\bid: '[a-z0-9-]+',[\s\S]{0,200}?\b(when|says|findings):/;
const inputOutput = /from '(node:(fs|fs\/promises|net|http|os|worker_threads)|[^']*\/machine\/[^']*|[^']*\/connection\.ts|execa|pg)'/;

/** Names that say nothing. */
const emptyNames = /(^|[/-])(utils?|helpers?|common|manager|misc)([./-]|$)|(^|\/)index\.ts$/;
const LINES_MAX = 250;
const FUNCTION_LINES_MAX = 70;

const src = resolve('src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

test.each(files)('%s', (file) => {
  const text = readFileSync(join(src, file), 'utf8');
  const noun = file.split('/')[0]!;
  if (file.includes('/')) {
    expect(nouns, `${noun}/ is not a noun`).toContain(noun);
    for (const [, specifier] of text.matchAll(/(?:from |import\()'(\.[^']+)'/g)) {
      const target = relative(src, resolve(src, dirname(file), specifier!)).split('/')[0]!;
      if (target !== noun) expect(nouns.slice(0, nouns.indexOf(noun)), `${file} imports ${specifier}`).toContain(target);
    }
  }
  for (const [pattern, home] of homes) if (!home.test(file)) expect(text, `${pattern} does not belong in ${file}`).not.toMatch(pattern);
  if (decisionRow.test(text)) expect(text, `${file} decides, so it does no I/O`).not.toMatch(inputOutput);
  expect(file, 'a name that says nothing').not.toMatch(emptyNames);
  expect(text, `${file}: a docstring begins with its subject`).not.toMatch(/^\s*(\/\*\*|\*) (What|Whether|Who|Whose)\b/m);
  expect(text.split('\n').length, `${file} is long: is it one idea?`).toBeLessThanOrEqual(LINES_MAX);
});

/** Functions at the top level of a file, with their length; a factory counts with all that it holds. */
function functionsOf(text: string): { readonly name: string; readonly lines: number }[] {
  const lines = text.split('\n');
  return lines.flatMap((line, start) => {
    const name = /^(?:export )?(?:async )?function (\w+)|^(?:export )?const (\w+) = (?:async )?(?:<[^=]*>)?\(/.exec(line);
    if (!name || line.endsWith(';')) return [];
    if (line.endsWith('=>')) return [{ name: name[1] ?? name[2]!, lines: lines.slice(start).findIndex((next) => next.endsWith(';')) + 1 }];
    const length = lines.slice(start + 1).findIndex((next) => /^(\}|\]|\)(?!: |:$| =>)).*;?$/.test(next) && !/[{(]$/.test(next));
    return [{ name: name[1] ?? name[2]!, lines: length + 2 }];
  });
}

test.each(files)('%s: no function is longer than 70 lines', (file) => {
  expect(functionsOf(readFileSync(join(src, file), 'utf8')).filter(({ lines }) => lines > FUNCTION_LINES_MAX)).toEqual([]);
});

/** In text that people read, each of these has a plainer word (docs/STYLE.md). */
const riddles =
  /\b(anew|passed over|under way|lets? (anybody|nobody) in|take \S+ away|leave \S+ away|bring (it|them) back|get through|takes no sessions|look whose) ?\b/;

test.each(files)('%s: what people read is plain', (file) => {
  const text = readFileSync(join(src, file), 'utf8').replace(/^\s*(\/\*\*|\*|\/\/).*$| \/\/ .*$/gm, '');
  const hints = [...text.matchAll(/\bhint: (?:'((?:[^'\\]|\\.)*)'|`([^`\\]*)`)/g)].map(([, plain, templated]) => plain ?? templated!);
  for (const hint of hints) {
    expect(hint, 'a hint is one line without a full stop').not.toMatch(/\.$/);
    expect(hint, 'a hint begins small, unless with a name').not.toMatch(/^[A-Z][a-z]+ (?!said)/);
  }
  const said = [
    ...text.matchAll(/(?:words|hint|next|mend|loses): '((?:[^'\\]|\\.)*)'|DbkitError\(\s*'[a-z.-]+',\s*['`]((?:[^'`\\]|\\.)*)['`]/g),
  ].map(([, words, message]) => words ?? message!);
  for (const words of said) {
    expect(words, 'a riddle').not.toMatch(riddles);
    expect(words.replace(/`[^`]*`/g, ''), 'a message is no question').not.toMatch(/^(which|whether|who)\b.*\?$/);
    expect(words, 'one space').not.toMatch(/\S {2,}\S/);
  }
});

test('the types that the package exports need no other package', () => {
  const reached = new Set(['supervisor/plugin.ts']);
  for (const file of reached) {
    const text = readFileSync(join(src, file), 'utf8');
    expect(text, file).not.toMatch(/ from '(?!\.|node:)/);
    for (const [, specifier] of text.matchAll(/^(?:import|export) type .* from '(\.[^']+)'/gm))
      reached.add(relative(src, resolve(src, dirname(file), specifier!)));
  }
});

test('the README stays short', () => {
  expect(readFileSync('README.md', 'utf8').split(/\s+/).filter(Boolean).length).toBeLessThanOrEqual(900);
});

test('every link of a document leads somewhere', () => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    ...readdirSync('docs', { recursive: true, encoding: 'utf8' }).map((name) => join('docs', name)),
  ];
  const dead = pages
    .filter((page) => page.endsWith('.md') && existsSync(page))
    .flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)]
        .filter(([, target]) => !existsSync(join(dirname(page), target!)))
        .map(([, target]) => `${page}: ${target}`),
    );
  expect(dead).toEqual([]);
});

test('the top level holds what the house rules allow', () => {
  const allowed =
    /^(bin|src|\.devcontainer|test|bench|deploy|docs|\.ci|\.git.*|\.npmrc|\.pre-commit-hooks\.yaml|package(-lock)?\.json|tsconfig\.json|(README|CONTRIBUTING|CHANGELOG)\.md|LICENSE|\.editorconfig|\.nvmrc|biome\.json|.*\.config\.(ts|mjs)|node_modules|dist|\.dbkit|\.DB_(data|logs|backups))$/;
  expect(readdirSync('.').filter((name) => !allowed.test(name))).toEqual([]);
});

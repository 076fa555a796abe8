import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { environment } from '../../src/config/environment.ts';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { inProcess } from '../harness/in-process.ts';

const page = readFileSync('docs/coming-from.md', 'utf8');
const spans = [...page.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);
const names = new Set<string>(Object.keys(environment));

test('every dbkit command on the page exists, with its flags and the values that they take', async () => {
  const commands = [...new Set(spans.filter((text) => /^dbkit [a-z]/.test(text)))];
  expect(commands.length).toBeGreaterThan(40);
  for (const command of commands) {
    const words = command.split(' ').slice(1);
    const { status, error, out } = await inProcess([...words, '--help']);
    expect({ status, error }, command).toEqual({ status: 0, error: '' });
    expect(out, command).toContain(`Usage: dbkit ${words.slice(0, commandLength(words)).join(' ')} `);
    for (const flag of words.filter((word) => /^--/.test(word))) expect(out, command).toContain(flag);
  }
});

/** How many of the words name the command: those that its groups know. */
const commandLength = ([first, second]: readonly string[]): number =>
  ['backup', 'maintenance', 'config', 'hooks', 'alert', 'k8s', 'monitor'].includes(first!) &&
  second !== undefined &&
  !second.startsWith('-')
    ? 2
    : 1;

test('a flag that stands alone belongs to a command of its own row', async () => {
  const rows = page.split('\n').filter((line) => line.startsWith('|'));
  for (const row of rows) {
    const inside = [...row.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);
    const commands = inside.filter((text) => text.startsWith('dbkit '));
    const alone = inside.filter((text) => text.startsWith('--'));
    if (alone.length === 0 || commands.length === 0) continue;
    const helps = await Promise.all(commands.map(async (command) => (await inProcess([...command.split(' ').slice(1), '--help'])).out));
    for (const flag of alone)
      expect(
        helps.some((help) => help.includes(flag.split(' ')[0]!)),
        `${flag} in ${row}`,
      ).toBe(true);
  }
});

test('every environment variable on the page is one of dbkit’s, and the last table names their settings', () => {
  const used = [...page.matchAll(/\b([A-Z]+(?:_[A-Z]+)+|PG[A-Z]+)\b/g)].map(([, name]) => name!);
  const unknown = used.filter((name) => !names.has(name.replace(/_FILE$/, '')) && name !== 'NAME_FILE');
  expect([...new Set(unknown)]).toEqual([]);
  const rows = page
    .split('\n## The environment\n')[1]!
    .split('\n')
    .filter((line) => /^\| [A-Z]/.test(line));
  expect(rows.length).toBeGreaterThan(5);
  for (const row of rows) {
    const variables = row
      .split('|')[1]!
      .split(',')
      .map((name) => name.trim());
    const settings = [...row.matchAll(/`([^`]+)`/g)].map(([, path]) => path!);
    expect(
      variables.map((name) => environment[name as keyof typeof environment]?.[0]),
      row,
    ).toEqual(settings);
  }
});

test('every setting on the page is one', () => {
  const settings = spans
    .map((text) => text.split(':')[0]!)
    .filter((text) => /^[a-z][a-zA-Z]*(\.[a-zA-Z]+)+$/.test(text) && !/\.(sh|yaml|pid|sql)$/.test(text));
  expect(settings.length).toBeGreaterThan(10);
  expect(settings.filter((path) => !isSetting(path))).toEqual([]);
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}
function isSetting(path: string): boolean {
  let at: Schema | undefined = configJsonSchema() as Schema;
  for (const name of path.split('.')) at = at?.properties?.[name];
  return at !== undefined;
}

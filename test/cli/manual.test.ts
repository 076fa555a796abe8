import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { environment } from '../../src/config/environment.ts';
import { settingsOf } from '../../src/config/json-schema.ts';
import { settingMeanings } from '../../src/config/meanings.ts';
import { failures } from '../../src/kernel/errors.ts';
import { inProcess } from '../harness/in-process.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const page = readFileSync('docs/man/dbkit.1', 'utf8');

test.each([
  ['docs/man/dbkit.1', 'man'],
  ['docs/COMMANDS.md', 'commands'],
  ['docs/CONFIGURATION.md', 'configuration'],
  ['docs/REASONS.md', 'reasons'],
])('%s is what the program prints of itself; `npm run docs` writes it anew', async (path, name) => {
  const { out, opened } = await inProcess(['manual', '--page', name]);
  expect(opened).toEqual([]);
  expect(readFileSync(path, 'utf8')).toBe(out.replace('dbkit 1.2.3', `dbkit ${version}`));
});

test('every setting has its meaning, and every meaning its setting', () => {
  const settings = settingsOf();
  expect(settings.filter(({ meaning }) => meaning === '').map(({ path }) => path)).toEqual([]);
  expect(Object.keys(settingMeanings).filter((path) => !settings.some((setting) => setting.path === path))).toEqual([]);
  expect(Object.values(environment).filter(([path]) => !settings.some((setting) => setting.path === path))).toEqual([]);
});

test('the manual names every command, environment variable and exit status', async () => {
  const { out } = await inProcess(['completion', 'bash']);
  const commands = [...out.matchAll(/^ {4}'([^']+)'\) words=/gm)].map(([, path]) => path!);
  expect(commands.length).toBeGreaterThan(30);
  expect(commands.filter((path) => !page.includes(`.SS "dbkit ${path.replaceAll('-', '\\-')} `))).toEqual([]);
  expect(Object.keys(environment).filter((name) => !page.includes(`.B ${name}\n`))).toEqual([]);
  expect(Object.values(failures).filter(({ exit }) => !page.includes(`.B ${exit}\n`))).toEqual([]);
});

test('no line of the manual is a request by mistake', () => {
  const requests = page.split('\n').filter((line) => /^[.']/.test(line));
  expect(requests.filter((line) => !/^\.(TH|SH|SS|TP|B|I|PP)\b/.test(line))).toEqual([]);
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { environment } from '../../src/config/config.ts';
import { failures } from '../../src/kernel/errors.ts';
import { inProcess } from '../harness/in-process.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const page = readFileSync('docs/man/dbkit.1', 'utf8');

test('docs/man/dbkit.1 is what the program prints of itself; `npm run man` writes it anew', async () => {
  const { out, opened } = await inProcess(['manual']);
  expect(opened).toEqual([]);
  expect(page).toBe(out.replace('dbkit 1.2.3', `dbkit ${version}`));
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

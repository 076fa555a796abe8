import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { reasons, tables } from '../../src/cli/reasons.ts';
import { failures } from '../../src/kernel/errors.ts';
import { exitStatuses, exitWords } from '../../src/kernel/exit-statuses.ts';
import { inProcess } from '../harness/in-process.ts';

const rows = Object.entries(tables).flatMap(([table, list]) => [...list].map((row) => ({ table, ...row })));
const decided = rows.filter((row) => 'when' in row || 'says' in row);

test('an id names one row of its table, and is never a sentence', () => {
  const ids = rows.map(({ table, id }) => `${table}: ${id}`);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  expect(decided.map(({ id }) => id).filter((id) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id))).toEqual([]);
});

test('the words are one clause for people: no full stop, no capital at the beginning', () => {
  expect(rows.filter(({ words }) => /\.$|^[A-Z][a-z]+ (?!replays)/.test(words) || words === '').map(({ id }) => id)).toEqual([]);
});

test('every row of every table is named by a test that reaches it', () => {
  const root = new URL('../', import.meta.url).pathname;
  const written = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && path !== 'cli/explain.test.ts')
    .map((path) => readFileSync(join(root, path), 'utf8'))
    .join('\n');
  expect(decided.length).toBeGreaterThan(120);
  const isNamed = (id: string): boolean => written.includes(`'${id}'`) || new RegExp(`\\b${id}: `).test(written);
  expect(decided.filter(({ id }) => !isNamed(id)).map(({ id }) => id)).toEqual([]);
});

test.each(reasons().map(({ id }) => id))('explain %s', async (id) => {
  const { status, out, opened } = await inProcess(['explain', id, '--json']);
  expect({ status, opened }).toEqual({ status: 0, opened: [] });
  const { reasons: found } = (JSON.parse(out) as { report: { reasons: { id: string; words: string }[] } }).report;
  expect(found.length).toBeGreaterThan(0);
  expect(found.every((reason) => reason.id === id && reason.words.length > 0)).toBe(true);
});

test('explain says what to do and how it ends, lists everything without an id, and knows a near miss', async () => {
  const one = await inProcess(['explain', 'replaced-too-often']);
  expect(one.out).toMatch(/^replaced-too-often\n[\s\S]*what to do +\S[\s\S]*exit status +77 refused for safety/);
  expect((await inProcess(['explain'])).out.split('\n').length).toBeGreaterThan(200);
  expect(await inProcess(['explain', 'replaced-to-often'])).toMatchObject({
    status: 2,
    error: expect.stringContaining('dbkit explain replaced-too-often'),
  });
});

test('help, README and the table of failures have the exit statuses of one list', async () => {
  const { out } = await inProcess(['--help']);
  const flat = (text: string): string => text.replace(/\s+/g, ' ');
  expect(exitWords.filter((words) => !flat(out).includes(words))).toEqual([]);
  const named = Object.entries(exitStatuses).filter(([status]) => Number(status) < 126);
  expect(flat(readFileSync('README.md', 'utf8'))).toContain(named.map(([status, meaning]) => `${status} ${meaning}`).join(', '));
  expect(Object.values(failures).filter(({ exit }) => !(exit in exitStatuses))).toEqual([]);
});

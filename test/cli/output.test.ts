import { expect, test } from 'vitest';
import { createSink } from '../../src/cli/output/log-sink.ts';
import { confirm } from '../../src/cli/output/prompt.ts';
import { failureDocument, failureText, successDocument } from '../../src/cli/output/report.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { table } from '../../src/cli/output/table.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import type { LogEvent } from '../../src/kernel/machine.ts';
import { bytes, duration, moment } from '../../src/kernel/units.ts';

const plain = await createStyle(false);

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [150 * 1024 ** 2, '150 MiB'],
  [3 * 1024 ** 4, '3.0 TiB'],
  [5000 * 1024 ** 5, '5000 PiB'],
])('%d bytes are %s', (value, said) => expect(bytes(value)).toBe(said));

test.each([
  [0.4, '0 s'],
  [61, '1 min 1 s'],
  [3600, '1 h'],
  [93_784, '1 d 2 h'],
  [86_405, '1 d'],
  [-5, '0 s'], // A clock that was set back.
])('%d seconds are %s', (value, said) => expect(duration(value)).toBe(said));

test('times are said in UTC', () => expect(moment('2026-11-20T19:54:00.123Z')).toBe('2026-11-20 19:54:00 UTC'));

test('columns align whatever colour their cells have, and lines end where their words do', async () => {
  const { good } = await createStyle(true);
  const lines = table([
    ['a', good('ready'), ''],
    ['longer', 'x', 'last'],
  ]).split('\n');
  expect(lines).toEqual([`a       ${good('ready')}`, 'longer  x      last']);
  expect(good('ready')).not.toBe('ready');
});

test('a heading is a row like any other, missing cells are empty, and no rows are no lines', () => {
  expect(table([['1', 'postgresql', 'ready'], ['22']], ['layer', 'service', 'state'])).toBe(
    ['layer  service     state', '1      postgresql  ready', '22'].join('\n'),
  );
  expect(table([])).toBe('');
});

const event = (level: LogEvent['level'], message: string, atMs = 0, fields = {}): LogEvent => ({
  at: new Date(Date.UTC(2026, 10, 20, 19, 54) + atMs),
  level,
  event: 'noun.verb',
  message,
  fields,
});
const sinkOn = (isTerminal: boolean, format: 'human' | 'json' = 'human') => {
  const said: string[] = [];
  return { ...createSink({ format, isTerminal, style: plain, write: (text) => said.push(text) }), said };
};

test('without a terminal events are stamped lines, and progress is a line now and then, of what takes longer than a second', () => {
  const { log, said } = sinkOn(false);
  log(event('info', 'started'));
  log(event('warn', 'slow'));
  for (const atMs of [0, 900, 1_000, 5_000, 6_000]) log(event('progress', 'copying', atMs, { done: 512, total: 1024, unit: 'bytes' }));
  expect(said).toEqual([
    '19:54:00Z started\n',
    '19:54:00Z warn: slow\n',
    '19:54:01Z copying, 512 B of 1.0 KiB (50 %)\n',
    '19:54:06Z copying, 512 B of 1.0 KiB (50 %)\n',
  ]);
});

test('on a terminal progress rewrites one line, at most ten times a second, and makes way for whatever comes next', () => {
  const { log, clear, said } = sinkOn(true);
  for (const atMs of [0, 1_000, 1_050, 1_100]) log(event('progress', 'copying', atMs));
  log(event('info', 'done'));
  clear();
  const wipe = '\r\u001b[2K';
  expect(said).toEqual(['  … copying', wipe, '  … copying', wipe, '● done\n']);
});

test('as JSON every event is one line', () => {
  const { log, said } = sinkOn(true, 'json');
  log(event('error', 'two\nlines', 0, { port: 5432 }));
  expect(said).toHaveLength(1);
  expect(JSON.parse(said[0]!)).toEqual({
    time: '2026-11-20T19:54:00.000Z',
    level: 'error',
    event: 'noun.verb',
    message: 'two\nlines',
    port: 5432,
  });
});

test('levels are words in a log and marks on a terminal', () => {
  const levels = ['debug', 'info', 'warn', 'error'] as const;
  const [lines, terminal] = [sinkOn(false), sinkOn(true)];
  for (const level of levels) for (const { log } of [lines, terminal]) log(event(level, 'said'));
  expect(lines.said.map((line) => line.slice('19:54:00Z '.length))).toEqual(['debug: said\n', 'said\n', 'warn: said\n', 'error: said\n']);
  expect(terminal.said).toEqual(['· said\n', '● said\n', '▲ said\n', '✖ said\n']);
});

test.each([
  [{ done: 3, unit: 'files' }, 'copying, 3 files'],
  [{ done: 3, total: 0, unit: 'files' }, 'copying, 3 files'],
  [{ done: 999, total: 1000, unit: 'pages' }, 'copying, 999 pages of 1000 pages (99 %)'],
  [{ done: 61, total: 122, unit: 'seconds' }, 'copying, 1 min 1 s of 2 min 2 s (50 %)'],
])('progress %j is said as %j', (step, said) => {
  const sink = sinkOn(false);
  for (const atMs of [0, 1_000]) sink.log(event('progress', 'copying', atMs, step));
  expect(sink.said).toEqual([`19:54:01Z ${said}\n`]);
});

test('progress in bytes says how fast, and how long it takes yet', () => {
  const sink = sinkOn(false);
  for (const [atMs, done] of [
    [0, 1024],
    [2_000, 3 * 1024],
  ] as const)
    sink.log(event('progress', 'copying', atMs, { done, total: 13 * 1024, unit: 'bytes' }));
  expect(sink.said).toEqual(['19:54:02Z copying, 3.0 KiB of 13.0 KiB (23 %), 1.0 KiB/s, 10 s left\n']);
});

test('as JSON progress is never dropped, and what is thrown away is no line', () => {
  const { log, clear, said } = sinkOn(true, 'json');
  for (const done of [1, 2, 3]) log(event('progress', 'copying', done, { done, unit: 'files' }));
  clear();
  expect(said.map((line) => (JSON.parse(line) as { done: number }).done)).toEqual([1, 2, 3]);
});

test('documents name their command and version', () => {
  expect(JSON.parse(successDocument('config show', { a: 1 }))).toEqual({ schema: 'dbkit.config-show/v1', ok: true, report: { a: 1 } });
  const failure = { code: 'lock.held', message: 'held', hint: null, retryable: true, changed: false } as const;
  expect(JSON.parse(failureDocument('', failure))).toEqual({ schema: 'dbkit/v1', ok: false, failure });
});

test('a failure says what to do next; a bug says where it is and asks for a report', () => {
  const known = failureText(new DbkitError('port.in-use', 'port 5432 is in use', { hint: 'stop that program' }));
  expect(known).toBe('dbkit: port 5432 is in use\nHINT: stop that program\n');
  expect(failureText(new TypeError('x is not a function'))).toMatch(/^dbkit: x is not a function\n {4}at [\s\S]*HINT: this is a bug/);
});

test('a failure without a hint has none, and what is thrown need not be an error', () => {
  expect(failureText(new DbkitError('command.failed', 'no'))).toBe('dbkit: no\n');
  expect(failureText('a text')).toMatch(/^dbkit: a text\nHINT: this is a bug/);
});

test('nobody is asked where nobody can answer: then it takes --yes', async () => {
  const refused = expect.objectContaining({ code: 'prompt.refused', hint: expect.stringContaining('--yes') });
  await expect(confirm('Replace?', { mayAsk: false, yes: false })).rejects.toEqual(refused);
  expect(await confirm('Replace?', { mayAsk: false, yes: true })).toBe(true);
});

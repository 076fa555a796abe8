import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { shellArgument, shellWord } from '../../src/kernel/shell-word.ts';

const words = [
  'plain',
  '/var/lib/a b',
  "it's",
  "''",
  'say "so"',
  'two\nlines\n',
  '--leading',
  '-',
  '',
  '$HOME `id` \\ * ? ~ !',
  '%p',
  'ä;|&<>()#',
];

test.each([
  ['quoted', shellWord],
  ['as a person types it', shellArgument],
])('sh reads each word as it is, %s', (_how, write) => {
  const { stdout, status } = spawnSync('sh', ['-c', `printf '%s\\0' ${words.map(write).join(' ')}`], { encoding: 'utf8' });
  expect({ status, words: stdout.split('\0').slice(0, -1) }).toEqual({ status: 0, words });
});

test('where no quotes are needed a person would type none', () => {
  expect(['/var/lib/dbkit', '--to=latest', 'a@b:5432', 'a b', ''].map(shellArgument)).toEqual([
    ...['/var/lib/dbkit', '--to=latest', 'a@b:5432', "'a b'", "''"],
  ]);
});

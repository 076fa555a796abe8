import { expect, test } from 'vitest';
import { type NextFacts, type NextId, nextStepFor, nextSteps } from '../../src/cli/next-steps.ts';
import { everyRow } from '../harness/every-row.ts';
import { inProcess } from '../harness/in-process.ts';

const well: NextFacts = {
  readiness: 'accepting',
  services: ['ready'],
  isKnown: true,
  isLocalHere: false,
  hasGoodBackup: true,
  lostSomething: false,
};

everyRow<NextId, NextFacts>('the next step', nextStepFor, {
  'next-held': { ...well, services: ['held'] },
  'next-starting': { ...well, readiness: 'rejecting' },
  'next-local': { ...well, readiness: 'no-response', isLocalHere: true },
  'next-nothing-here': { ...well, readiness: 'no-response', isKnown: false },
  'next-stopped': { ...well, readiness: 'no-response' },
  'next-rows-lost': { ...well, lostSomething: true },
  'next-no-backup': { ...well, hasGoodBackup: false },
  'next-all-well': well,
});

test('each suggestion is a command that there is', async () => {
  for (const line of nextSteps.flatMap(({ then }) => then)) {
    const words = line
      .replace(/ -- .*/, '')
      .split(' ')
      .slice(1)
      .filter((word) => !word.startsWith('-'));
    expect(await inProcess([...words, '--help']), line).toMatchObject({ status: 0 });
  }
});

test('a wrong word names the command that was meant, and help lists what every command takes', async () => {
  expect(await inProcess(['statsu'])).toMatchObject({
    status: 2,
    error: expect.stringMatching(/unknown command 'statsu'[\s\S]*`dbkit status`/),
  });
  expect((await inProcess(['help', 'options'])).out).toMatch(/^--json[\s\S]*--backup-dir/);
  expect((await inProcess(['help', 'backup', 'list'])).out).toMatch(/^Usage: dbkit backup list/);
  const { out } = await inProcess(['--help']);
  expect(out).toMatch(/Every day:[\s\S]*When it is broken:[\s\S]*Backups:[\s\S]*Set-up:/);
  expect(
    Math.max(
      ...out
        .split('\n')
        .slice(0, 40)
        .map((line) => line.length),
    ),
  ).toBeLessThanOrEqual(80);
});

import { expect, test } from 'vitest';
import { findCaretaker, startWords } from '../../src/instance/caretaker.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import type { Runner, Tool } from '../../src/kernel/machine.ts';

const { signal } = new AbortController();

function recording(fails: (heard: readonly string[]) => boolean = () => false): { runner: Runner; lines: string[] } {
  const lines: string[] = [];
  const run = async ({ file, args }: Tool) => {
    lines.push([file, ...args].join(' '));
    if (fails(lines)) throw new DbkitError('tool.failed', 'it timed out');
    return { exitCode: 0, stdout: '', stderr: '' };
  };
  return { runner: { run, attempt: run }, lines };
}

test('a configured unit starts and stops the server, and one that hangs is stopped the hard way', async () => {
  const { runner, lines } = recording((heard) => heard.length === 1);
  const caretaker = await findCaretaker({ dataDir: '/nowhere', unit: 'db.service' }, runner);
  expect(caretaker?.start).toEqual(['systemctl', 'start', 'db.service']);
  await caretaker?.stop(signal);
  expect(lines).toEqual([
    'systemctl stop db.service',
    'systemctl kill --kill-who=main --signal=SIGQUIT db.service',
    'systemctl stop db.service',
  ]);
});

test('a person is told to start a server where it runs', async () => {
  expect(await startWords({ dataDir: '/nowhere', unit: 'db.service' })).toBe('systemctl start db.service');
  expect(await startWords({ dataDir: '/nowhere', unit: undefined })).toBe('dbkit up --detach');
});

test('a PGDATA that nobody’s configuration names has no caretaker', async () => {
  expect(await findCaretaker({ dataDir: '/nowhere', unit: undefined }, recording().runner)).toBeUndefined();
});

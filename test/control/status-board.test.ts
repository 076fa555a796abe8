import { expect, test } from 'vitest';
import type { SupervisorStatus } from '../../src/control/status.ts';
import { createStatusBoard } from '../../src/control/status-board.ts';
import type { Files } from '../../src/kernel/machine.ts';

const status = (readyAt: string | null): SupervisorStatus => ({
  schema: 'dbkit.supervisor/v1',
  pid: 2,
  mode: 'entrypoint',
  startedAt: '2026-01-02T03:04:05.000Z',
  readyAt,
  services: [],
  lastRecovery: null,
});

test('who reads sees what was published before, though it is still being written', async () => {
  let written = JSON.stringify(status(null)); // By the run before this one.
  const files = {
    publish: async (_path: string, body: string) => {
      await new Promise((resolve) => setTimeout(resolve, 20)); // A busy disk.
      written = body;
    },
    readJson: async <T>(_path: string, parse: (value: unknown) => T) => parse(JSON.parse(written)),
  } as unknown as Files;
  const board = createStatusBoard('/state', files);
  void board.publish(status('2026-01-02T03:04:06.000Z'));
  expect((await board.read())?.readyAt).toBe('2026-01-02T03:04:06.000Z');
});

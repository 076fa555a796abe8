import { expect, test } from 'vitest';
import type { Control } from '../../src/control/contract.ts';
import type { StatusBoard, SupervisorStatus } from '../../src/control/status.ts';
import { upDetached } from '../../src/supervisor/up.ts';

const PID = 4242;
const ofRun = (pid: number): SupervisorStatus => ({
  schema: 'dbkit.supervisor/v1',
  pid,
  mode: 'up',
  startedAt: '2026-01-02T03:04:05.000Z',
  readyAt: '2026-01-02T03:04:06.000Z',
  services: [],
  lastRecovery: null,
});

/** The state volume is full: what stands there is the run before this one, and only the supervisor itself knows better. */
test('a background start is heard of though its status could not be published', async () => {
  let started = false;
  const control: Pick<Control, 'ask'> = { ask: async () => (started ? ofRun(PID) : undefined) };
  const board: Pick<StatusBoard, 'read'> = { read: async () => ofRun(1) };
  const app = {
    control,
    board,
    spawn: async () => {
      started = true;
      return { pid: PID, exited: new Promise<never>(() => undefined), kill: () => undefined };
    },
    prepareLog: async () => '/nowhere/dbkit.log',
    clock: { monotonicMs: () => 0, sleep: () => Promise.reject(new Error('it was not heard of')) },
  } as unknown as Parameters<typeof upDetached>[0];
  const report = await upDetached(app, { program: ['node'], environment: {}, timeoutMs: 1 }, new AbortController().signal);
  expect(report).toMatchObject({ outcome: 'up', status: { pid: PID } });
});

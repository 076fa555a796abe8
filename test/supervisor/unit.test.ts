import { expect, test } from 'vitest';
import type { RunningService } from '../../src/kernel/running-service.ts';
import type { Service } from '../../src/supervisor/service.ts';
import { createUnit } from '../../src/supervisor/unit.ts';

test('a stop that arrives while a start comes to its end stops what has come up', async () => {
  const stops: string[] = [];
  let comeUp: (running: RunningService) => void = () => undefined;
  let isGone: (reason: { code: number; signal: null }) => void = () => undefined;
  const exited = new Promise<{ code: number; signal: null }>((resolve) => {
    isGone = resolve;
  });
  const running: RunningService = {
    pid: 7,
    exited,
    details: {},
    stop: async (mode) => {
      stops.push(mode);
      isGone({ code: 0, signal: null });
    },
  };
  const service = {
    name: 'postgresql',
    onFail: 'exit',
    stopTimeoutMs: 5_000,
    restart: { policy: 'never' },
    prepare: async () => undefined,
    start: () =>
      new Promise<RunningService>((resolve) => {
        comeUp = resolve; // It is past the point where it would have heard of an abort.
      }),
  } as unknown as Service;
  const words: string[] = [];
  const log = {
    debug: () => undefined,
    info: (event: string) => words.push(event),
    warn: () => undefined,
    error: () => undefined,
    progress: () => undefined,
  };
  const clock = {
    now: () => new Date(),
    monotonicMs: () => performance.now(),
    sleep: (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, ms);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          reject(signal.reason);
        });
      }),
  };
  const none = new AbortController().signal;
  const unit = createUnit(service, {
    clock,
    log: log as never,
    changed: () => undefined,
    recovered: async () => undefined,
    failed: () => undefined,
    decideRestart: () => ({ restart: false, reason: 'restarts-never', because: 'never' }),
  });
  const started = unit.start(none);
  await new Promise((resolve) => setTimeout(resolve, 10));
  const stopped = unit.stop(5_000, none);
  comeUp(running);
  await Promise.all([started, stopped]);
  expect(stops).toEqual(['fast']);
  expect(unit.state()).toBe('stopped');
  expect(words).toEqual(['service.stopped']);
});

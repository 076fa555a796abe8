import { expect, test } from 'vitest';
import type { RunningService } from '../../src/kernel/running-service.ts';
import type { Service } from '../../src/supervisor/service.ts';
import { createUnit } from '../../src/supervisor/unit.ts';

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
const logTo = (words: string[]) => ({
  debug: () => undefined,
  info: (event: string) => words.push(event),
  warn: (event: string) => words.push(event),
  error: (event: string) => words.push(event),
  progress: () => undefined,
});
const unitOf = (service: Service, words: string[]) =>
  createUnit(service, {
    clock,
    log: logTo(words) as never,
    changed: () => undefined,
    recovered: async () => undefined,
    failed: () => undefined,
    decideRestart: () => ({ restart: false, reason: 'restarts-never', because: 'never' }),
  });
const serviceOf = (start: Service['start']): Service =>
  ({
    name: 'postgresql',
    onFail: 'exit',
    stopTimeoutMs: 5_000,
    restart: { policy: 'never' },
    prepare: async () => undefined,
    start,
  }) as unknown as Service;

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
  const service = serviceOf(
    () =>
      new Promise<RunningService>((resolve) => {
        comeUp = resolve; // It is past the point where it would have heard of an abort.
      }),
  );
  const words: string[] = [];
  const unit = unitOf(service, words);
  const started = unit.start(none);
  await new Promise((resolve) => setTimeout(resolve, 10));
  const stopped = unit.stop(5_000, none);
  comeUp(running);
  await Promise.all([started, stopped]);
  expect(stops).toEqual(['fast']);
  expect(unit.state()).toBe('stopped');
  expect(words).toEqual(['service.stopped']);
});

test.each([
  ['a server that has ended is not told to hurry, however long the note of its stop takes', true, ['service.ready', 'service.stopped']],
  ['one that has not ended is', false, ['service.ready', 'service.hurried', 'service.unstopped', 'service.stopped']],
])('%s', async (_, ends, said) => {
  const never = new Promise<never>(() => undefined);
  const stops: string[] = [];
  let end: (reason: { code: number; signal: null }) => void = () => undefined;
  const gone = new Promise<{ code: number; signal: null }>((resolve) => {
    end = resolve;
  });
  const stop = async (mode: string): Promise<void> => {
    stops.push(mode);
    if (ends) end({ code: 0, signal: null });
  };
  const words: string[] = [];
  const unit = unitOf(
    serviceOf(async () => ({ pid: 7, exited: never, gone, details: {}, stop })),
    words,
  );
  await unit.start(none);
  await unit.stop(40, none);
  expect(words).toEqual(said);
  expect(stops.includes('immediate')).toBe(!ends);
});

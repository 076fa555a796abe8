import { expect, test } from 'vitest';
import { afterTelling, isNews } from '../../src/alerts/alert.ts';
import type { ProbeReport } from '../../src/health/health.ts';
import type { ProbeStatus } from '../../src/health/probe.ts';
import { decide, judgeCheck, leaveToAnother, type MonitorState, watchingAnew } from '../../src/monitor/decide.ts';

const probe = (name: string, status: ProbeStatus, data: unknown = null, summary = ''): ProbeReport => ({
  ...{ service: 'postgresql', name, title: name, status, summary, hint: null, data, durationMs: 1 },
});
const silent = [probe('service', 'critical'), probe('connection', 'critical', { why: 'silent' })];

test('only what a recovery can mend counts as a failure', () => {
  const verdict = (...probes: ProbeReport[]) => judgeCheck({ probes }).verdict;
  expect(verdict(probe('connection', 'ok'), probe('disk', 'warning'))).toBe('well');
  expect(verdict(...silent)).toBe('failed');
  expect(verdict(probe('connection', 'critical', { why: 'hung' }))).toBe('failed');
  expect(verdict(probe('data-directory', 'critical'))).toBe('failed');
  expect(verdict(probe('connection', 'critical', { why: 'starting' })), 'a long crash recovery').toBe('waiting');
  expect(
    verdict(probe('service', 'critical', null, 'PostgreSQL is stopping (pid 1)'), probe('connection', 'critical', { why: 'silent' })),
  ).toBe('waiting');
  expect(verdict(probe('connection', 'critical', { why: 'full' })), 'too many clients').toBe('unwell');
  expect(verdict(probe('connection', 'critical', { why: 'read-only' }))).toBe('unwell');
  expect(verdict(probe('latency', 'critical')), 'a slow night').toBe('unwell');
  expect(verdict(probe('disk', 'critical'))).toBe('unwell');
  expect(verdict(probe('authentication', 'critical')), 'a changed password').toBe('unwell');
  expect(verdict(probe('write', 'unknown'))).toBe('unwell');
});

const limits = { maxFailures: 3, cooldownMs: 3_600_000, maxRecoveries: 2 };
const failed = judgeCheck({ probes: silent });
const well = judgeCheck({ probes: [probe('connection', 'ok')] });
const at = (minutes: number): number => Date.parse('2026-11-20T00:00:00Z') + minutes * 60_000;

function after(checks: readonly (readonly [minutes: number, seen: typeof failed, busy?: string])[], from: MonitorState = watchingAnew) {
  let state = from;
  return checks.map(([minutes, seen, busy = null]) => {
    const { decision, state: next } = decide({ seen, state, limits, nowMs: at(minutes), busy });
    state = next;
    return { action: decision.action, because: decision.because, state };
  });
}
const actions = (...given: Parameters<typeof after>): string[] => after(...given).map(({ action }) => action);

test('three failures in a row are recovered; one that comes back resets the count', () => {
  expect(
    actions([
      [0, failed],
      [1, failed],
      [2, failed],
    ]),
  ).toEqual(['count', 'count', 'recover']);
  expect(
    actions([
      [0, failed],
      [1, failed],
      [2, well],
      [3, failed],
      [4, failed],
    ]),
  ).toEqual(['count', 'count', 'none', 'count', 'count']);
});

test('after a recovery it cools down, and after too many a person must look', () => {
  const hours = [
    [0, failed],
    [1, failed],
    [2, failed],
    [3, failed],
    [4, failed],
    [5, failed],
    [62, failed],
    [63, failed],
    [64, failed],
    [123, failed],
    [124, failed],
  ] as const;
  const course = after(hours);
  expect(course.map(({ action }) => action)).toEqual([
    'count',
    'count',
    'recover',
    'count',
    'count',
    'count',
    'recover',
    'count',
    'count',
    'give-up',
    'none',
  ]);
  expect(course.at(-1)!.because).toMatch(/dbkit monitor resume/);
});

test('a whole cooldown of health forgets the recoveries', () => {
  const tired = { ...watchingAnew, recoveries: 2, lastRecoveryAt: new Date(at(0)).toISOString() };
  const [first, later] = after(
    [
      [1, well],
      [62, well],
    ],
    tired,
  );
  expect(first!.state.recoveries).toBe(2);
  expect(later!.state).toMatchObject({ recoveries: 0, failures: 0 });
});

test('a recovery that is left to another process is decided by that one, and counted once', () => {
  const due = { ...watchingAnew, failures: 2, wellSince: new Date(at(0)).toISOString() };
  const left = leaveToAnother(due);
  expect(left).toMatchObject({ decision: { action: 'leave' }, state: { failures: 2, recoveries: 0, wellSince: null } });
  expect(after([[1, failed]], left.state)[0]).toMatchObject({ action: 'recover', state: { recoveries: 1 } });
});

test('a pause, and whoever works on it, keep it from acting', () => {
  const paused = { ...watchingAnew, failures: 2, pausedUntil: new Date(at(30)).toISOString() };
  expect(
    actions(
      [
        [29, failed],
        [31, failed],
      ],
      paused,
    ),
  ).toEqual(['none', 'recover']);
  const [held] = after([[0, failed, 'it is held until a person decides']], { ...watchingAnew, failures: 2 });
  expect(held).toMatchObject({ action: 'none', because: 'it is held until a person decides' });
});

test('a clock that is set back makes nothing wait longer than a cooldown', () => {
  const future = { ...watchingAnew, failures: 2, lastRecoveryAt: new Date(at(60 * 24 * 365)).toISOString() };
  expect(
    actions(
      [
        [0, failed],
        [61, failed],
      ],
      future,
    ),
  ).toEqual(['count', 'recover']);
});

test('a clock that is set back lengthens no pause, and one that jumps ahead is no failure', () => {
  const nextYear = (minutes: number): string => new Date(at(60 * 24 * 365 + minutes)).toISOString();
  const paused = { ...watchingAnew, failures: 2, pausedSince: nextYear(0), pausedUntil: nextYear(30) };
  const course = after(
    [
      [0, failed],
      [29, failed],
      [31, failed],
    ],
    paused,
  );
  expect(course.map(({ action }) => action)).toEqual(['none', 'none', 'recover']);
  const jumped = after(
    [
      [60 * 24 * 365, well],
      [60 * 24 * 365 + 1, failed],
    ],
    { ...watchingAnew, recoveries: 1, lastRecoveryAt: new Date(at(0)).toISOString(), wellSince: new Date(at(1)).toISOString() },
  );
  expect(jumped.map(({ action }) => action)).toEqual(['none', 'count']);
});

test('a server whose files are not here is told, once it has failed often enough, and never recovered', () => {
  let state = watchingAnew;
  const course = [0, 1, 2, 3, 4, 5].map((minutes) => {
    const { decision, state: next } = decide({ seen: failed, state, limits, nowMs: at(minutes), busy: null, isRemote: minutes >= 2 });
    state = next;
    return decision.action;
  });
  expect(course).toEqual(['count', 'count', 'tell', 'tell', 'tell', 'tell']);
  expect(state).toMatchObject({ recoveries: 0, gaveUp: false, failures: 3 });
});

test('the same trouble is told once, and its end only where its beginning was', () => {
  const alert = { topic: 'health', severity: 'ERROR', resolves: false, title: 'down', lines: [], command: null } as const;
  const over = { ...alert, severity: 'SUCCESS', resolves: true, title: 'well' } as const;
  const when = { nowMs: at(0), repeatAfterMs: 4 * 3_600_000 };
  expect(isNews(over, {}, when)).toBe(false);
  const told = afterTelling(alert, {}, new Date(at(0)).toISOString());
  expect(isNews(alert, told, { ...when, nowMs: at(10) })).toBe(false);
  expect(isNews({ ...alert, severity: 'CRITICAL' }, told, when)).toBe(true);
  expect(isNews(alert, told, { ...when, nowMs: at(4 * 60) })).toBe(true);
  expect(isNews(over, told, when)).toBe(true);
  expect(afterTelling(over, told, '')).toEqual({});
  const success = { ...alert, severity: 'SUCCESS' } as const;
  expect(isNews(success, afterTelling(success, {}, new Date(at(0)).toISOString()), when), 'the next recovery has its own losses').toBe(
    true,
  );
  expect(isNews(alert, afterTelling(success, told, ''), when), 'trouble after a success is new').toBe(true);
});

import { expect, test } from 'vitest';
import { afterFailing, afterTelling, type ChannelMemory, isHeard, isNews, untold, withoutOver } from '../../src/alerts/alert.ts';
import type { ServiceState, SupervisorStatus } from '../../src/control/status.ts';
import type { AnyFacts } from '../../src/health/facts.ts';
import type { ProbeReport } from '../../src/health/health.ts';
import type { ProbeStatus } from '../../src/health/probe.ts';
import { whoWorks } from '../../src/monitor/check.ts';
import {
  type Busy,
  type DecisionId,
  decide,
  decisions,
  leaveToAnother,
  type MonitorState,
  watchingAnew,
} from '../../src/monitor/decide.ts';
import { alertsOf, becauseOf, sentence } from '../../src/monitor/messages.ts';
import { judgeCheck, type VerdictId, verdicts } from '../../src/monitor/verdict.ts';

const probe = (name: string, status: ProbeStatus, data: AnyFacts | null = null, summary = ''): ProbeReport => ({
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
  expect(verdict(probe('service', 'critical', { state: 'stopping' }), probe('connection', 'critical', { why: 'silent' }))).toBe('waiting');
  expect(verdict(probe('connection', 'critical', { why: 'full' })), 'too many clients').toBe('unwell');
  expect(verdict(probe('connection', 'critical', { why: 'read-only' }))).toBe('unwell');
  expect(verdict(probe('connection', 'critical', { why: 'other' })), 'a pooler in between').toBe('unwell');
  expect(verdict(probe('connection', 'critical', { why: 'damaged' })), 'its own words').toBe('failed');
  expect(verdict(probe('connection', 'unknown', { why: 'own' })), 'no descriptors of its own').toBe('unwell');
  expect(verdict(probe('service', 'unknown'), probe('connection', 'unknown', { why: 'own' }))).toBe('unwell');
  expect(verdict(probe('latency', 'critical')), 'a slow night').toBe('unwell');
  expect(verdict(probe('disk', 'critical'))).toBe('unwell');
  expect(verdict(probe('authentication', 'critical')), 'a changed password').toBe('unwell');
  expect(verdict(probe('write', 'unknown'))).toBe('unwell');
});

const limits = { maxFailures: 3, cooldownMs: 3_600_000, maxRecoveries: 2 };
const failed = judgeCheck({ probes: silent });
const well = judgeCheck({ probes: [probe('connection', 'ok')] });
const at = (minutes: number): number => Date.parse('2026-11-20T00:00:00Z') + minutes * 60_000;

const reached = new Set<DecisionId>();

function after(checks: readonly (readonly [minutes: number, seen: typeof failed, busy?: Busy])[], from: MonitorState = watchingAnew) {
  let state = from;
  return checks.map(([minutes, seen, busy = null]) => {
    const { decision, state: next } = decide({ seen, state, limits, nowMs: at(minutes), busy });
    state = next;
    reached.add(decision.id);
    return { action: decision.action, because: becauseOf(decision), state };
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
  expect(course.at(-1)!.because).toBe(decisions.find(({ id }) => id === 'gave-up-before')!.words);
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
  const [held] = after([[0, failed, 'held']], { ...watchingAnew, failures: 2 });
  expect(held).toMatchObject({ action: 'none', because: expect.stringContaining('held until a person decides') as string });
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

test('the server of a member of Patroni is told, with the command that shows the cluster, and never recovered', () => {
  let state = watchingAnew;
  const told = [0, 1, 2, 3].map((minutes) => {
    const { decision, state: next } = decide({ seen: failed, state, limits, nowMs: at(minutes), busy: null, isMember: true });
    const [one] = alertsOf(failed, decision, next, state, limits);
    state = next;
    return one && [one.severity, one.title, one.command];
  });
  const said = ['CRITICAL', 'the server of this member is down', 'dbkit ha status'];
  expect(told).toEqual([undefined, undefined, said, said]);
  expect(state).toMatchObject({ recoveries: 0, gaveUp: false, failures: 3 });
});

test.each<[service: string, state: ServiceState, busy: Busy | null]>([
  ['postgresql', 'starting', 'working'],
  ['patroni', 'starting', 'working'],
  ['patroni', 'restarting', 'working'],
  ['patroni', 'held', 'held'],
  ['patroni', 'stopped', 'stopped'],
  ['patroni', 'ready', null],
  ['mongodb', 'stopped', null],
])('the supervisor says that %s is %s: it is left to whoever works on it', async (name, state, busy) => {
  const status = { services: [{ name, state }] } as unknown as SupervisorStatus;
  const control = { ask: async () => ({}) as never };
  expect(await whoWorks({ control, board: { read: async () => status } }, new AbortController().signal)).toBe(busy);
});

const alert = { topic: 'health', severity: 'ERROR', resolves: false, title: 'down', lines: [], command: null } as const;
const over = { ...alert, severity: 'SUCCESS', resolves: true, title: 'well' } as const;
const success = { ...alert, topic: 'recovery', severity: 'SUCCESS', title: 'recovered' } as const;
const when = { nowMs: at(0), repeatAfterMs: 4 * 3_600_000 };
const iso = (minutes: number): string => new Date(at(minutes)).toISOString();
const stamped = { at: iso(0), host: 'db1', system: 'PostgreSQL', environment: null } as const;

test('the same trouble is told once, and its end only where its beginning was', () => {
  expect(isNews(over, {}, when)).toBe(false);
  const { told } = afterTelling(alert, untold, iso(0));
  expect(isNews(alert, told, { ...when, nowMs: at(10) })).toBe(false);
  expect(isNews({ ...alert, severity: 'CRITICAL' }, told, when)).toBe(true);
  expect(isNews(alert, told, { ...when, nowMs: at(4 * 60) })).toBe(true);
  expect(isNews(over, told, when)).toBe(true);
  expect(afterTelling(over, { ...untold, told }, '')).toEqual(untold);
  expect(isNews(success, afterTelling(success, untold, iso(0)).told, when), 'the next recovery has its own losses').toBe(true);
  const calm = afterTelling({ ...success, topic: 'health' }, { ...untold, told }, '');
  expect(isNews(alert, calm.told, when), 'trouble after a success is new').toBe(true);
});

test('what did not get through is not told: a trouble comes again, an event waits, and an end that nobody awaits is dropped', () => {
  const down: ChannelMemory = { ...untold, retryAt: iso(1) };
  expect(afterFailing({ ...alert, ...stamped }, untold, iso(1))).toEqual(down);
  const late = afterFailing({ ...success, ...stamped }, untold, null);
  expect(late.pending).toMatchObject([{ title: 'recovered' }]);
  const failure = { ...alert, ...stamped, topic: 'backup', title: 'the backup failed' } as const;
  const waits = afterFailing(failure, late, null);
  expect(waits.pending).toHaveLength(2);
  expect(withoutOver({ ...over, topic: 'backup' }, waits).pending, 'over before it was told').toEqual(late.pending);
  expect(isNews({ ...over, topic: 'backup' }, waits.told, when)).toBe(false);
});

test('a channel hears its severities, and the end of what it was told whatever they are', () => {
  const { told } = afterTelling(alert, untold, iso(0));
  expect(isHeard(alert, ['CRITICAL'], {})).toBe(false);
  expect(isHeard(over, ['ERROR'], told)).toBe(true);
  expect(isHeard(over, ['ERROR'], {})).toBe(false);
});

test('a second outage within the cooldown is told once, with what blocks the recovery', () => {
  const before = { ...watchingAnew, failures: 2, recoveries: 1, lastRecoveryAt: iso(0) };
  const [third, fourth] = [before, { ...before, failures: 3 }].map((state) => {
    const { decision, state: next } = decide({ seen: failed, state, limits, nowMs: at(5), busy: null });
    return { said: sentence(failed, decision, next, state, limits), told: alertsOf(failed, decision, next, state, limits) };
  });
  expect(third!.told).toMatchObject([{ severity: 'CRITICAL', failures: { count: 3, limit: 3 }, lastRecoveryAt: iso(0) }]);
  expect(third!.told[0]!.lines.join(' ')).toContain('2026-11-20 01:00:00 UTC');
  expect(third!.said).toContain(decisions.find(({ id }) => id === 'cooling-down')!.words);
  expect(fourth!.said, 'an hour of it is no news').toBeNull();
  expect(isNews(fourth!.told[0]!, afterTelling(third!.told[0]!, untold, iso(5)).told, { ...when, nowMs: at(6) })).toBe(false);
});

test('what is well again ends the trouble and the recovery, for those who were told of them', () => {
  const { decision, state } = decide({ seen: well, state: watchingAnew, limits, nowMs: at(0), busy: null });
  expect(alertsOf(well, decision, state, watchingAnew, limits).map(({ topic, resolves }) => [topic, resolves])).toEqual([
    ['health', true],
    ['recovery', true],
  ]);
});

test('a server that is held is told; one that a person stopped is not', () => {
  const told = (busy: Busy) => {
    const { decision, state } = decide({ seen: failed, state: watchingAnew, limits, nowMs: at(0), busy });
    return alertsOf(failed, decision, state, watchingAnew, limits).map(({ severity }) => severity);
  };
  expect([told('held'), told('stopped'), told('working')]).toEqual([['CRITICAL'], [], []]);
});

test('every row of the tables is reached', () => {
  const of = (...given: Parameters<typeof probe>): VerdictId | null => judgeCheck({ probes: [probe(...given)] }).reason;
  const seen = [
    of('connection', 'critical', { why: 'starting' }),
    of('service', 'critical', { state: 'starting' }),
    of('connection', 'critical', { why: 'full' }),
    of('connection', 'critical', { why: 'read-only' }),
    of('connection', 'critical', { why: 'not-let-in' }),
    of('connection', 'critical', { why: 'silent' }),
    of('disk', 'critical'),
    of('disk', 'unknown'),
  ];
  expect(seen).toEqual(verdicts.map(({ id }) => id));
  after([[0, judgeCheck({ probes: [probe('connection', 'critical', { why: 'starting' })] })]]);
  after([[0, judgeCheck({ probes: [probe('disk', 'critical')] })]]);
  const remote = { seen: failed, state: { ...watchingAnew, failures: 2 }, limits, nowMs: at(0), busy: null, isRemote: true };
  reached.add(decide(remote).decision.id);
  reached.add(decide({ ...remote, isRemote: false, isMember: true }).decision.id);
  expect([...reached].sort()).toEqual(decisions.map(({ id }) => id).sort());
});

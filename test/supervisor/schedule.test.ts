import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import type { Backup, Backups } from '../../src/backups/backup.ts';
import { configSchema } from '../../src/config/config.ts';
import { nextRun, scheduleSetting, schedulesOf } from '../../src/config/schedules.ts';
import type { Logger } from '../../src/kernel/machine.ts';
import { measureTier } from '../../src/supervisor/measure-tier.ts';
import { type DueFacts, decideDue } from '../../src/supervisor/schedule/due.ts';
import { keepSchedule } from '../../src/supervisor/schedule/keep-schedule.ts';
import type { JobState } from '../../src/supervisor/schedule/memory.ts';
import { everyRow } from '../harness/every-row.ts';

const NOW = Date.parse('2026-11-28T10:00:00Z');
const daily = '0 2 * * *';
const facts: DueFacts = {
  expression: daily,
  known: { expression: daily, nextAt: '2026-11-28T09:59:00.000Z', outcome: 'done' },
  isRepeated: true,
  servedMs: null,
  isServerUp: true,
  nowMs: NOW,
};

everyRow('the schedule', decideDue, {
  'schedule-off': { ...facts, expression: null },
  'schedule-begins': { ...facts, known: undefined },
  'schedule-interrupted': { ...facts, known: { ...facts.known!, nextAt: '2026-11-29T02:00:00.000Z', outcome: 'interrupted' } },
  'schedule-not-due': { ...facts, known: { ...facts.known!, nextAt: '2026-11-29T02:00:00.000Z' } },
  'schedule-served': { ...facts, servedMs: NOW - 1000 },
  'schedule-server-down': { ...facts, isServerUp: false },
  'schedule-missed': { ...facts, known: { ...facts.known!, nextAt: '2026-11-25T02:00:00.000Z' } },
  'schedule-due': facts,
});

test('a drill that a kill has ended is not begun again: it may be what has ended the machine', () => {
  const known = { ...facts.known!, nextAt: '2026-11-29T02:00:00.000Z', outcome: 'interrupted' as const };
  expect(decideDue({ ...facts, known, isRepeated: false }).id).toBe('schedule-not-due');
});

test('another expression is a new schedule: nothing is made up for', () => {
  expect(decideDue({ ...facts, expression: '0 3 * * *' }).id).toBe('schedule-begins');
});

describe('expressions', () => {
  test.each([daily, '*/15 * * * *', '0 2,14 * * *', '0 2 * * MON', '30 4 1 * *', 'off'])('%s is one', (text) =>
    expect(v.is(scheduleSetting, text)).toBe(true),
  );
  test.each(['', '0 2 * *', '0 0 2 * * *', '61 2 * * *', '*/0 * * * *', '0 2 30 2 *', 'daily'])('%j is none', (text) =>
    expect(v.is(scheduleSetting, text)).toBe(false),
  );
  test('times are UTC, and the run at this very moment is over', () => {
    expect(nextRun(daily, new Date('2026-11-28T02:00:00Z')).toISOString()).toBe('2026-11-29T02:00:00.000Z');
    expect(nextRun(daily, new Date('2026-11-28T01:59:59Z')).toISOString()).toBe('2026-11-28T02:00:00.000Z');
  });
});

describe('what is scheduled', () => {
  const schedules = (given: object) => schedulesOf(v.parse(configSchema, given));
  test.each([
    ['by default', {}, daily, null],
    ['a tier of little loss', { tier: 'critical' }, '0 2,8,14,20 * * *', null],
    ['somebody else takes the backups', { tier: 'critical', backup: { afterStart: false } }, null, null],
    [
      'somebody else takes them after a start, dbkit at its time',
      { backup: { afterStart: false, schedule: '0 5 * * *' } },
      '0 5 * * *',
      null,
    ],
    ['switched off', { tier: 'high', backup: { schedule: 'off' } }, null, null],
    ['with drills', { drill: { schedule: '0 4 * * 0' } }, daily, '0 4 * * 0'],
    [
      'a member of a cluster asks whose turn it is',
      { services: { patroni: { config: '/etc/patroni/config.yml' } }, drill: { schedule: '0 4 * * 0' } },
      daily,
      '0 4 * * 0',
    ],
  ])('%s', (_, given, backup, drill) => expect(schedules(given)).toEqual({ backup, drill }));
});

/** A machine whose time only sleeping brings forward. */
function machineAt(start: string, kept: unknown, stopAt: string) {
  let nowMs = Date.parse(start);
  const stop = new AbortController();
  const files = new Map<string, unknown>(kept === undefined ? [] : [['/state/schedule.json', { schema: 'dbkit.schedule/v1', jobs: kept }]]);
  const said: string[] = [];
  const log = { info: (event: string) => said.push(event), warn: (event: string, words: string) => said.push(`${event}: ${words}`) };
  const app = (backups: readonly Pick<Backup, 'createdAt' | 'state'>[], settings: object) => ({
    config: v.parse(configSchema, { stateDir: '/state', ...settings }),
    backups: [{ kind: 'physical', repository: { list: async () => backups } }] as unknown as readonly Backups[],
    files: {
      readJson: async <T>(path: string, parse: (value: unknown) => T) => (files.has(path) ? parse(files.get(path)) : undefined),
      write: async (path: string, body: string | Uint8Array) => void files.set(path, JSON.parse(String(body))),
    },
    clock: {
      now: () => new Date(nowMs),
      monotonicMs: () => nowMs,
      sleep: async (forMs: number) => {
        nowMs += forMs;
        if (nowMs >= Date.parse(stopAt)) stop.abort();
      },
    },
    log: log as unknown as Logger,
  });
  const jobs = () => (files.get('/state/schedule.json') as { jobs: Record<string, JobState> } | undefined)?.jobs;
  return { app, jobs, said, signal: stop.signal, now: () => new Date(nowMs).toISOString() };
}

const runs = (ran: string[], now: () => string, ends: () => boolean = () => true) => ({
  name: 'backup' as const,
  isRepeated: true,
  run: async () => {
    ran.push(now());
    return ends();
  },
});
const up = async () => true;

test('each run comes at its time, and what became of it is remembered', async () => {
  const machine = machineAt('2026-11-28T01:00:00Z', undefined, '2026-11-30T02:30:00Z');
  const ran: string[] = [];
  await keepSchedule(machine.app([], {}), [runs(ran, machine.now, () => ran.length < 3)], up, machine.signal);
  expect(ran).toEqual(['2026-11-28T02:00:00.000Z', '2026-11-29T02:00:00.000Z', '2026-11-30T02:00:00.000Z']);
  expect(machine.jobs()).toEqual({
    backup: { expression: daily, nextAt: '2026-12-01T02:00:00.000Z', ranAt: '2026-11-30T02:00:00.000Z', outcome: 'failed' },
  });
});

test('runs that a sleeping machine has missed are made up for once, and not where a backup was taken since', async () => {
  const kept = { backup: { expression: daily, nextAt: '2026-11-20T02:00:00.000Z', ranAt: null, outcome: null } };
  const missed = machineAt('2026-11-28T10:00:00Z', kept, '2026-11-28T12:00:00Z');
  const ran: string[] = [];
  await keepSchedule(missed.app([], {}), [runs(ran, missed.now)], up, missed.signal);
  expect(ran).toEqual(['2026-11-28T10:00:00.000Z']);
  const served = machineAt('2026-11-28T10:00:00Z', kept, '2026-11-28T12:00:00Z');
  const backups = [{ createdAt: '2026-11-27T12:00:00.000Z', state: 'good' as const }];
  await keepSchedule(served.app(backups, {}), [runs(ran, served.now)], up, served.signal);
  expect(ran).toHaveLength(1);
  expect(served.jobs()?.['backup']?.nextAt).toBe('2026-11-29T02:00:00.000Z');
});

test('a run waits for the server, and a clock that was years ahead stops nothing', async () => {
  const kept = { backup: { expression: daily, nextAt: '2036-11-20T02:00:00.000Z', ranAt: null, outcome: null } };
  const machine = machineAt('2026-11-28T01:59:00Z', kept, '2026-11-28T03:00:00Z');
  const ran: string[] = [];
  const fromThree = async () => machine.now() >= '2026-11-28T02:10:00';
  await keepSchedule(machine.app([], {}), [runs(ran, machine.now)], fromThree, machine.signal);
  expect(ran).toEqual(['2026-11-28T02:10:00.000Z']);
});

test('a backup that a kill has ended is taken at the next start', async () => {
  const kept = { backup: { expression: daily, nextAt: '2026-11-29T02:00:00.000Z', ranAt: '2026-11-28T02:00:00.000Z', outcome: 'running' } };
  const machine = machineAt('2026-11-28T02:05:00Z', kept, '2026-11-28T03:00:00Z');
  const ran: string[] = [];
  await keepSchedule(machine.app([], {}), [runs(ran, machine.now)], up, machine.signal);
  expect(ran).toEqual(['2026-11-28T02:05:00.000Z']);
  expect(machine.jobs()?.['backup']?.outcome).toBe('done');
});

describe('the tier is measured', () => {
  const backups = [
    { createdAt: '2026-11-28T09:00:00.000Z', state: 'good' as const },
    { createdAt: '2026-11-27T09:00:00.000Z', state: 'proven' as const, provenAt: '2026-11-27T10:00:00.000Z', restoreMs: 400_000 },
    { createdAt: '2026-11-26T09:00:00.000Z', state: 'proven' as const, provenAt: '2026-11-26T10:00:00.000Z', restoreMs: 1_000 },
  ];
  const measured = (archive: Parameters<typeof measureTier>[1]['archive']) =>
    measureTier({ tier: 'critical' }, { backups, archive, nowMs: NOW });
  test('the archive is as far behind as it is, and the newest rehearsal counts', () => {
    expect(measured({ state: 'keeping', lag: { bytes: 10, seconds: 2 } })).toEqual({
      tier: 'critical',
      rpo: { seconds: 2, targetSeconds: 60, met: true },
      rto: { seconds: 400, targetSeconds: 300, met: false },
    });
  });
  test('without an archive all since the newest good backup would be lost', () => {
    expect(measured(null)?.rpo).toEqual({ seconds: 3600, targetSeconds: 60, met: false });
    expect(measured({ state: 'stopped', lag: null })?.rpo.seconds).toBe(3600);
  });
  test('what nobody knows is not judged', () => {
    expect(measured({ state: 'failing', lag: null })?.rpo).toEqual({ seconds: null, targetSeconds: 60, met: null });
    expect(measureTier({ tier: undefined }, { backups, archive: null, nowMs: NOW })).toBeNull();
    expect(measureTier({ tier: 'high' }, { backups: [], archive: null, nowMs: NOW })).toMatchObject({
      rpo: { met: null },
      rto: { met: null },
    });
  });
});

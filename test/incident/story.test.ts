import { describe, expect, test } from 'vitest';
import type { StampedAlert } from '../../src/alerts/alert.ts';
import { storyMarkdown } from '../../src/cli/report.ts';
import { judgedBy } from '../../src/config/tiers.ts';
import { type PreventFacts, preventionsOf, preventRows } from '../../src/incident/prevent.ts';
import { type Judging, judged } from '../../src/incident/report-incident.ts';
import { entriesOf, type Memories, storiesOf, storySince } from '../../src/incident/story.ts';
import { watchingAnew } from '../../src/monitor/decide.ts';
import type { RecoveryReport } from '../../src/recovery/report.ts';

const at = (time: string): string => `2026-11-28T${time}.000Z`;
const alert = (time: string, topic: string, title: string, severity: StampedAlert['severity'] = 'ERROR'): StampedAlert => ({
  at: at(time),
  topic,
  title,
  severity,
  resolves: severity === 'SUCCESS',
  lines: [],
  command: null,
  host: 'db1',
  system: 'PostgreSQL',
  environment: null,
});
const recovery = (time: string, over: Partial<RecoveryReport> = {}): RecoveryReport => ({
  at: at(time),
  findings: [],
  decision: 'restore',
  reason: null,
  because: 'pg_control is gone',
  steps: [],
  quarantine: null,
  losses: [{ kind: 'nothing' }],
  lost: 'nothing',
  durationMs: 20_000,
  readyAt: at('14:03:30'),
  ...over,
});
const none: Memories = { alerts: [], recoveries: [], changes: [], events: [] };

/** At 14:02 the server fails and is restored; at 09:00 something else had happened. */
const night: Memories = {
  alerts: [
    alert('09:00:00', 'health', 'disk is critical'),
    alert('09:10:00', 'health', 'all is well again', 'SUCCESS'),
    alert('14:02:10', 'health', 'the server failed'),
    alert('14:02:10', 'recovery', 'a recovery is under way', 'WARNING'),
    alert('14:03:31', 'recovery', 'the server was recovered', 'SUCCESS'),
    alert('14:04:00', 'health', 'all is well again', 'SUCCESS'),
    alert('18:00:00', 'news', 'a word by the way', 'INFO'),
  ],
  recoveries: [recovery('14:02:40')],
  changes: [],
  events: [
    { at: at('14:01:10'), what: 'connection: no answer; failed check 1' },
    { at: at('20:00:00'), what: 'paused' },
  ],
};

test('memories are joined in the order in which things happened, and make incidents', () => {
  const [newest, oldest, ...rest] = storiesOf(entriesOf(night));
  expect(rest).toEqual([]);
  expect(oldest).toMatchObject({ beganAt: at('09:00:00'), endedAt: at('09:10:00') });
  expect(newest).toMatchObject({ beganAt: at('14:02:10'), endedAt: at('14:04:00') });
  expect(newest!.entries.map(({ source, words }) => `${source}: ${words}`)).toEqual([
    'monitor: connection: no answer; failed check 1',
    'alert: error: the server failed',
    'alert: warning: a recovery is under way',
    'recovery: recovery (restore) began, because pg_control is gone; lost: nothing',
    'recovery: the server answered again',
    'alert: over: the server was recovered',
    'alert: over: all is well again',
  ]);
});

test('a trouble that lasts for hours is one incident, and one that is not over has no end', () => {
  const long = [
    alert('09:00:00', 'health', 'down'),
    alert('13:00:00', 'health', 'still down'),
    alert('13:20:00', 'health', 'well', 'SUCCESS'),
  ];
  expect(storiesOf(entriesOf({ ...none, alerts: long }))).toHaveLength(1);
  const [open] = storiesOf(entriesOf({ ...none, alerts: long.slice(0, 2) }));
  expect(open).toMatchObject({ beganAt: at('09:00:00'), endedAt: null });
});

test('a change of leader is an incident; one of an unknown time, and a recovery that did nothing, are none', () => {
  const change = {
    timeline: 3,
    endedAt: 1,
    reason: 'no recovery target specified',
    at: '2026-11-28T14:00:00.123456+00:00',
    newLeader: 'n2',
  };
  const changes = [change, { ...change, at: null }];
  const stories = storiesOf(entriesOf({ ...none, changes, recoveries: [recovery('10:00:00', { serving: true })] }));
  expect(stories).toHaveLength(1);
  expect(stories[0]!.entries[0]!.words).toBe('n2 leads on timeline 4 (no recovery target specified)');
});

const judging = (over: Partial<Judging> = {}): Judging => ({
  number: 1,
  recoveries: night.recoveries,
  samples: [
    { at: at('14:02:30'), status: 'critical', latencySeconds: null, diskPercent: 40, connections: 5 },
    { at: at('14:03:50'), status: 'ok', latencySeconds: 0.01, diskPercent: 40, connections: 5 },
    { at: at('19:00:00'), status: 'critical', latencySeconds: null, diskPercent: 40, connections: 5 },
  ],
  watch: { state: watchingAnew, checkedAt: at('14:04:00'), events: night.events },
  channels: 1,
  tier: 'critical',
  now: new Date(at('21:00:00')),
  stories: storiesOf(entriesOf(night)),
  ...over,
});

test('RTO and RPO are those of its recoveries, against the tier', () => {
  const report = judged(storiesOf(entriesOf(night))[0]!, judging());
  expect(report).toMatchObject({
    durationSeconds: 110,
    impact: { recoveries: 1, leaderChanges: 0, lost: 'nothing', samples: 2, criticalSamples: 1 },
    rto: { seconds: 70, targetSeconds: 300, met: true },
    rpo: { seconds: 0, targetSeconds: 60, met: true },
    prevent: [],
  });
  const lossy = [
    recovery('14:02:40', {
      losses: [{ kind: 'since-backup', label: 'data_1', at: at('13:00:00'), oldBytes: null }],
      lost: 'rows since 13:00',
    }),
  ];
  const worse = judged(storiesOf(entriesOf(night))[0]!, judging({ recoveries: lossy }));
  expect(worse).toMatchObject({ rpo: { seconds: 3760, met: false }, impact: { lost: 'something' } });
  expect(worse.prevent.map(({ id }) => id)).toEqual(['prevent-lost-rows']);
});

test('where nothing was recovered, the loss is not claimed, and the time is that of the alerts', () => {
  const report = judged(storiesOf(entriesOf(night))[1]!, judging({ number: 2, tier: undefined }));
  expect(report).toMatchObject({
    rto: { seconds: 600, met: null },
    rpo: { seconds: null, met: null },
    impact: { lost: null, recoveries: 0 },
  });
  expect(report.prevent.map(({ id }) => id)).toEqual(['prevent-no-target']);
  const open = judged(storiesOf(entriesOf({ ...none, alerts: [alert('20:00:00', 'health', 'down')] }))[0]!, judging({ recoveries: [] }));
  expect(open).toMatchObject({ endedAt: null, durationSeconds: 3600, rto: { seconds: null, met: null } });
});

test('a recovery of an hour is one incident with its end, and counts also where nobody started the server after it', () => {
  const { readyAt: _, ...quiet } = recovery('15:00:00', { durationMs: 3_600_000 });
  const [story, ...rest] = storiesOf(entriesOf({ ...none, recoveries: [quiet] }));
  expect(rest).toEqual([]);
  expect(story).toMatchObject({ beganAt: at('14:00:00'), endedAt: at('15:00:00') });
  expect(judged(story!, judging({ recoveries: [quiet] }))).toMatchObject({
    impact: { recoveries: 1 },
    rto: { seconds: null },
    durationSeconds: 3600,
  });
});

test('everything since a moment is one report', () => {
  const story = storySince(entriesOf(night), new Date(at('09:05:00')));
  expect(story.entries[0]!.words).toBe('over: all is well again');
  expect(story).toMatchObject({ beganAt: at('09:05:00'), endedAt: at('14:04:00') });
});

const fine: PreventFacts = {
  channels: 1,
  isWatched: true,
  alertedAfterSeconds: 60,
  rto: judgedBy(70, 300),
  rpo: judgedBy(0, 60),
  lost: 'nothing',
  hasTier: true,
  incidentsThisWeek: 1,
  hasGivenUp: false,
};
const cases: Readonly<Record<(typeof preventRows)[number]['id'], PreventFacts>> = {
  'prevent-nobody-watches': { ...fine, isWatched: false },
  'prevent-nobody-is-told': { ...fine, channels: 0 },
  'prevent-late-alert': { ...fine, alertedAfterSeconds: 600 },
  'prevent-lost-rows': { ...fine, lost: 'something', rpo: judgedBy(600, 60) },
  'prevent-loss-unknown': { ...fine, lost: 'unknown', rpo: judgedBy(null, 60) },
  'prevent-slow-recovery': { ...fine, rto: judgedBy(600, 300) },
  'prevent-no-target': { ...fine, hasTier: false, rto: judgedBy(70, null), rpo: judgedBy(0, null) },
  'prevent-repeated': { ...fine, incidentsThisWeek: 3 },
  'prevent-given-up': { ...fine, hasGivenUp: true },
};
describe('what to prevent', () => {
  test.each(Object.entries(cases))('%s', (id, facts) => {
    const found = preventionsOf(facts);
    expect(found.map((one) => one.id)).toEqual([id]);
    expect(`${found[0]!.words} ${found[0]!.next}`).not.toMatch(/\{\w+\}/);
  });
  test('nothing, where all was as it should be', () => {
    expect(preventionsOf(fine)).toEqual([]);
    expect(preventRows).toHaveLength(Object.keys(cases).length);
  });
});

test('the Markdown has a table of the impact, one of the timeline, and steps to tick', () => {
  const text = storyMarkdown(judged(storiesOf(entriesOf(night))[0]!, judging({ channels: 0 })));
  expect(text).toMatch(/^# Incident 1 of 2026-11-28 14:02:10 UTC\n\n## Impact\n[\s\S]*\| RTO \| 1 min 10 s, allowed are 5 min: met \|/);
  expect(text).toContain('| 2026-11-28 14:02:10 UTC | alert | error: the server failed |');
  expect(text).toContain('- [ ] no alert channel is configured, so nobody was told: add one: `dbkit alert setup`');
});

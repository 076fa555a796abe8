import { expect, test } from 'vitest';
import type { StampedAlert } from '../../src/alerts/alert.ts';
import { openSince } from '../../src/alerts/ledger.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { changing, sinceOf } from '../../src/cli/runbook.ts';
import { runbookMarkdown, runbookView } from '../../src/cli/runbook-views.ts';
import type { RunbookFacts } from '../../src/incident/facts.ts';
import { type Impact, impactOf, impactRows } from '../../src/incident/impact.ts';
import { beginningOf, runbookReport } from '../../src/incident/open-runbook.ts';
import { runbookNamed, runbooks } from '../../src/incident/runbooks/runbooks.ts';
import { tells } from '../../src/incident/tellers.ts';
import { everyRow } from '../harness/every-row.ts';
import { aCluster, aServer, primaryGone } from './an-incident.ts';

everyRow<Impact['id'], RunbookFacts>('the impact', (facts) => impactRows.find(({ when }) => when(facts))!, {
  'impact-two-writers': aCluster({ writers: ['n1', 'n2'] }),
  'impact-no-writes': primaryGone(),
  'impact-clients-wait': aCluster({ poolerWaits: true }),
  'impact-no-redundancy': aCluster({ streaming: [] }),
  'impact-server-down': aServer({ answers: false }),
  'impact-damaged': aServer({ damage: ['zeroed-page in base/5/1'] }),
  'impact-volume-full': aServer({ isVolumeFull: true }),
  'impact-fewer-replicas': aCluster({ replica: 'n3' }),
  'impact-none': aCluster(),
});

const contacts = [
  { name: 'head of platform', reach: '+49 30 2', after: '30m' },
  { name: 'on call', reach: '+49 30 1', after: '0m' },
];
const at = (time: string, facts = primaryGone({ isPaused: true })) =>
  runbookReport(runbookNamed('primary-down'), facts, {
    began: { at: '2026-11-28T14:02:10.000Z', from: 'alert' },
    contacts: { contacts },
    now: new Date(time),
  });

test('the timer counts from the alert; an update is due every quarter of an hour, and the contacts one after the other', () => {
  const first = at('2026-11-28T14:03:00.000Z');
  expect(first).toMatchObject({ elapsedSeconds: 50, fits: true, update: { number: 1, nextAt: '2026-11-28T14:17:10.000Z' } });
  expect(first.contacts).toEqual([
    { name: 'on call', reach: '+49 30 1', dueAt: '2026-11-28T14:02:10.000Z', isDue: true },
    { name: 'head of platform', reach: '+49 30 2', dueAt: '2026-11-28T14:32:10.000Z', isDue: false },
  ]);
  const third = at('2026-11-28T14:32:10.000Z');
  expect(third).toMatchObject({ update: { number: 3, nextAt: '2026-11-28T14:47:10.000Z' } });
  expect(third.contacts.every(({ isDue }) => isDue)).toBe(true);
  expect(third.update.text).toBe(
    [
      'Status update 3, 2026-11-28 14:32:10 UTC (30 min since it began): the primary is gone',
      'Impact: nothing can be written: no member of the cluster accepts writes.',
      'Known: primary n1 is unreachable since 2026-11-28 14:02:10 UTC, seen down by n2 and n3; n2 is 0 B behind.',
      'Next step: automatic failover is off, so nobody takes over by itself: turn it on, or promote one yourself below.',
      'The next update follows at 2026-11-28 14:47:10 UTC.',
    ].join('\n'),
  );
});

test('a clock that was set back counts from now, and never backwards', () => {
  expect(at('2026-11-28T13:00:00.000Z')).toMatchObject({ elapsedSeconds: 0, update: { number: 1, nextAt: '2026-11-28T13:15:00.000Z' } });
});

test('it began when somebody says so, else with the alert, else when the primary was last heard, else now', () => {
  const openedAt = new Date('2026-11-28T15:00:00.000Z');
  const otherwise = { at: openedAt.toISOString(), from: 'opened' } as const;
  const [told, facts] = ['2026-11-28T14:05:00.000Z', primaryGone()];
  expect(beginningOf({ since: new Date('2026-11-28T13:00:00.000Z'), told, facts, otherwise })).toMatchObject({ from: 'given' });
  expect(beginningOf({ since: undefined, told, facts, otherwise })).toEqual({ at: told, from: 'alert' });
  expect(beginningOf({ since: undefined, told: undefined, facts, otherwise })).toEqual({
    at: '2026-11-28T14:02:10.000Z',
    from: 'last-seen',
  });
  expect(beginningOf({ since: undefined, told: undefined, facts: aServer(), otherwise })).toMatchObject({ from: 'opened' });
  expect(sinceOf('30m', openedAt).toISOString()).toBe('2026-11-28T14:30:00.000Z');
  expect(sinceOf('2026-11-28 14:02:10+01', openedAt).toISOString()).toBe('2026-11-28T13:02:10.000Z');
});

test('an incident begins with the alert that belongs to it, not with the oldest trouble of another kind', () => {
  const alert = (minute: number, topic: string, probe?: string): StampedAlert => ({
    ...{ topic, severity: 'ERROR', resolves: false, title: `${probe ?? topic} fails`, lines: [], command: null },
    ...{ at: `2026-11-28T14:0${minute}:00.000Z`, host: 'db1', system: '', environment: null },
    ...(probe === undefined ? {} : { probe }),
  });
  const story = [
    alert(1, 'backup'),
    alert(2, 'health', 'disk'),
    alert(3, 'health', 'replication'),
    alert(4, 'health', 'damage'),
    alert(5, 'health', 'service'),
    alert(6, 'role'),
  ];
  const beginning = (name: string, alerts = story) => openSince(alerts, tells(runbookNamed(name).toldBy))?.slice(14, 16);
  expect(Object.fromEntries(runbooks.map(({ name }) => [name, beginning(name) ?? null]))).toEqual({
    partition: '03',
    'total-outage': '05',
    'primary-down': '05',
    'database-corrupt': '04',
    'disk-full': '02',
    'replica-down': '03',
    'replication-lag': '03',
    'data-deleted': null,
    'point-in-time': null,
  });
  expect(beginning('total-outage', [alert(1, 'backup'), alert(2, 'health')]), 'of an earlier version, without its probe').toBe('02');
});

test('text and Markdown say the banner, each phase with its commands, the update and the contacts', async () => {
  const report = at('2026-11-28T14:20:00.000Z');
  const text = runbookView(report, await createStyle(false));
  expect(text).toMatch(/^AUTOMATIC FAILOVER IS OFF/);
  expect(text).toMatch(
    /FIRST RESPONSE\n {2}\[ \] primary n1 is unreachable[\s\S]*\$ dbkit ha status[\s\S]*TRIAGE[\s\S]*RESOLUTION[\s\S]*dbkit ha failover n2[\s\S]*RECOVERY[\s\S]*STATUS UPDATE 2[\s\S]*CONTACTS\n {2}call now/,
  );
  const markdown = runbookMarkdown(report);
  expect(markdown).toMatch(
    /^# primary-down: the primary is gone\n[\s\S]*## First response\n\n- \[ \] primary n1[\s\S]*`dbkit ha status`[\s\S]*## Contacts/,
  );
});

test('another block is written when something has changed, and not for the time alone', () => {
  const [now, later] = [at('2026-11-28T14:03:00.000Z'), at('2026-11-28T14:04:00.000Z')];
  expect(changing(now)).toBe(changing(later));
  expect(changing(now)).not.toBe(changing(at('2026-11-28T14:18:00.000Z')));
  expect(changing(now)).not.toBe(changing(at('2026-11-28T14:03:00.000Z', aCluster())));
  expect(impactOf(aCluster()).words).toBe('reads and writes work');
});

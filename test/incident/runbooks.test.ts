import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import type { RunbookFacts } from '../../src/incident/facts.ts';
import { phasesOf } from '../../src/incident/runbook.ts';
import { everyStep, runbookNamed, runbooks } from '../../src/incident/runbooks/runbooks.ts';
import { inProcess } from '../harness/in-process.ts';
import { aCluster, aServer, primaryGone } from './an-incident.ts';

const dropped = {
  event: 'drop table public.orders in shop',
  eventAt: '2026-11-28T13:58:01.000Z',
  statement: 'drop table public.orders',
  eventTable: 'public.orders',
};
const damaged = { damage: ['zeroed-page in base/5/16384 (public.orders)'], damagedTable: 'public.orders' };
const replicaGone = aCluster({
  answering: ['n1', 'n2'],
  silent: ['n3'],
  streaming: ['n2'],
  replica: 'n3',
  replicaHost: '10.0.0.3',
  isReplicaSilent: true,
});
const split = aCluster({ writers: ['n1', 'n3'], wrongWriters: ['n3'], replica: 'n2' });
const everybodyGone = aCluster({
  answering: [],
  silent: ['n1', 'n2', 'n3'],
  streaming: [],
  writers: [],
  leader: null,
  isAgreed: false,
  candidate: null,
  furthest: null,
  wouldFailOver: false,
});
const noBackup = { goodBackup: null, goodBackupAt: null, firstMomentAt: null, lastMomentAt: null };

/** The facts under which each step is shown; a step that no facts of these reach fails below. */
const situations: Readonly<Record<string, readonly (readonly [RunbookFacts, readonly string[]])[]>> = {
  'primary-down': [
    [
      primaryGone(),
      [
        'primary-unreachable',
        'primary-wait',
        'primary-machine',
        'primary-promote',
        'primary-prove-writes',
        'primary-redundancy',
        'primary-backup',
      ],
    ],
    [primaryGone({ isPaused: true, wouldFailOver: false }), ['primary-paused', 'primary-promote', 'primary-resume']],
    [primaryGone({ streaming: ['n2'], seenDownBy: [] }), ['primary-unreachable-from-here']],
    [primaryGone({ isPrimarySilent: false, isPrimaryServerDown: true }), ['primary-server-down', 'primary-restart-server']],
    [primaryGone({ primary: null }), ['primary-unknown']],
    [primaryGone({ isAgreed: false, wouldFailOver: false }), ['primary-store-gone']],
    [
      primaryGone({ candidate: null, wouldFailOver: false, obstacles: ['n2: it is behind'] }),
      ['primary-nobody-eligible', 'primary-promote-with-loss'],
    ],
    [aCluster({ poolerWaits: true, replica: 'n3' }), ['primary-writes', 'primary-clients-wait', 'primary-rejoin']],
    [split, ['primary-several']],
    [everybodyGone, ['primary-all-gone']],
  ],
  'replication-lag': [
    [
      aCluster({ laggards: ['n3 by 12 MiB'], laggard: 'n3', lagBytes: 12_582_912, slot: 'n4', slotBytes: 5 * 1024 ** 3 }),
      [
        'lag-facts',
        'lag-blocked-replay',
        'lag-disk',
        'lag-burst',
        'lag-slot',
        'lag-stop-the-cause',
        'lag-rebuild',
        'lag-caught-up',
        'lag-may-lead-again',
      ],
    ],
    [aCluster({ hasSynchronous: false, replica: 'n3' }), ['lag-none', 'lag-commits-wait', 'lag-not-streaming']],
  ],
  partition: [
    [
      split,
      [
        'partition-two-writers',
        'partition-clients',
        'partition-keep-data',
        'partition-heal',
        'partition-rejoin',
        'partition-compare',
        'partition-history',
      ],
    ],
    [aCluster(), ['partition-one-writer', 'partition-all-answer']],
    [primaryGone({ isAgreed: false }), ['partition-sides', 'partition-store', 'partition-network', 'partition-one-side-lost']],
  ],
  'replica-down': [
    [replicaGone, ['replica-facts', 'replica-machine', 'replica-start', 'replica-wait', 'replica-rebuild', 'replica-streams']],
    [
      aCluster({ streaming: [], replica: 'n2', isReplicaServerDown: true, hasSynchronous: false }),
      ['replica-last-one', 'replica-commits-wait', 'replica-server'],
    ],
    [aCluster({ replica: 'n3', isReplicaDiverged: true, slot: 'n3', slotBytes: 1024 }), ['replica-diverged', 'replica-slot']],
    [aCluster(), ['replica-none-down']],
  ],
  'total-outage': [
    [
      everybodyGone,
      [
        'outage-facts',
        'outage-touch-nothing',
        'outage-etcd',
        'outage-who-has-most',
        'outage-backups',
        'outage-backups-elsewhere',
        'outage-start',
        'outage-restore',
        'outage-restore-go',
        'outage-prove',
        'outage-redundancy',
      ],
    ],
    [{ ...everybodyGone, ...noBackup }, ['outage-no-backup']],
    [primaryGone(), ['outage-some-answer']],
    [aCluster(), ['outage-over']],
  ],
  'database-corrupt': [
    [
      aServer(damaged),
      [
        'corrupt-facts',
        'corrupt-touch-nothing',
        'corrupt-read-every-page',
        'corrupt-plan',
        'corrupt-good-backup',
        'corrupt-hardware',
        'corrupt-one-table',
        'corrupt-restore',
        'corrupt-sound-again',
        'corrupt-backup-anew',
      ],
    ],
    [
      aServer({ ...damaged, answers: false, lastRecoveryAt: '2026-11-28T14:00:00.000Z' }),
      ['corrupt-held', 'corrupt-recover', 'corrupt-losses'],
    ],
    [aServer({ ...damaged, ...noBackup }), ['corrupt-no-backup', 'corrupt-salvage']],
    [aCluster(), ['corrupt-nothing-known', 'corrupt-in-a-cluster']],
  ],
  'data-deleted': [
    [
      aServer(dropped),
      [
        'deleted-facts',
        'deleted-stop-writers',
        'deleted-pin',
        'deleted-reach',
        'deleted-serving-backup',
        'deleted-one-table',
        'deleted-everything-back',
        'deleted-compare',
        'deleted-backup',
      ],
    ],
    [aCluster(), ['deleted-no-event', 'deleted-in-a-cluster', 'deleted-by-time']],
    [aServer(noBackup), ['deleted-nothing-to-go-back-to']],
    [aServer({ ...noBackup, goodBackup: 'data_20261128_020000' }), ['deleted-from-backup']],
  ],
  'disk-full': [
    [
      aServer({ isVolumeFull: true, volumePercent: 99, slot: 'old', slotBytes: 9 * 1024 ** 3, archiveFailures: 12 }),
      [
        'disk-facts',
        'disk-remove-no-wal',
        'disk-slot',
        'disk-archiving',
        'disk-wal',
        'disk-temporary-files',
        'disk-who-has-it',
        'disk-remove-logs',
        'disk-expire-backups',
        'disk-drop-slot',
        'disk-grow',
        'disk-well-again',
        'disk-limits',
      ],
    ],
    [aServer({ answers: false }), ['disk-not-full', 'disk-server-down', 'disk-start']],
    [aCluster({ isVolumeFull: true }), ['disk-leader']],
  ],
  'point-in-time': [
    [
      aServer(dropped),
      [
        'moment-windows',
        'moment-what-happened',
        'moment-server',
        'moment-before-statement',
        'moment-by-time',
        'moment-tables-only',
        'moment-serving-backup',
        'moment-room',
        'moment-pin',
        'moment-name-today',
        'moment-stop-clients',
        'moment-restore-before-statement',
        'moment-answers',
        'moment-rows',
        'moment-undo',
        'moment-backup',
        'moment-losses',
        'tell-people-of-the-restore',
        'write-the-report-of-the-restore',
      ],
    ],
    [aServer(), ['moment-restore']],
    [aCluster(dropped), ['moment-restore-cluster-before-statement']],
    [aCluster(), ['moment-restore-cluster']],
    [aCluster(noBackup), ['moment-none', 'moment-in-a-cluster']],
  ],
};

const shown = (name: string, facts: RunbookFacts) => phasesOf(runbookNamed(name), facts).flatMap(({ steps }) => steps);

describe.each(Object.entries(situations))('%s', (name, cases) => {
  test.each(cases.map(([facts, ids]) => ({ facts, ids, first: ids[0]! })))('$first', ({ facts, ids }) => {
    const steps = shown(name, facts);
    expect(steps.map(({ id }) => id)).toEqual(expect.arrayContaining([...ids]));
    for (const { words, command } of steps) expect(`${words} ${command ?? ''}`).not.toMatch(/\{\w+\}|undefined|\[object|NaN/);
  });
});

test('every step of every runbook is reached by facts above, and shows in the order of the phases', () => {
  const reached = new Set(
    Object.entries(situations).flatMap(([name, cases]) => cases.flatMap(([facts]) => shown(name, facts).map(({ id }) => id))),
  );
  expect(everyStep.map(({ id }) => id).filter((id) => !reached.has(id))).toEqual([]);
  expect(runbooks.map(({ name }) => name).sort()).toEqual(Object.keys(situations).sort());
  expect(phasesOf(runbookNamed('disk-full'), aServer()).map(({ id }) => id)).toEqual([
    'first-response',
    'triage',
    'resolution',
    'recovery',
  ]);
  expect(phasesOf(runbookNamed('point-in-time'), aServer()).map(({ id }) => id)).toEqual([
    'assess',
    'choose',
    'prepare',
    'restore',
    'validate',
    'afterwards',
  ]);
});

test('the facts stand in the words: who is gone since when, who sees it, and who is how far behind', () => {
  const [first] = shown('primary-down', primaryGone());
  expect(first!.words).toBe('primary n1 is unreachable since 2026-11-28 14:02:10 UTC, seen down by n2 and n3; n2 is 0 B behind');
  const unwatched = shown('primary-down', primaryGone({ unreachableSince: null }))[0];
  expect(unwatched!.words).toContain('unreachable since a time that is not known');
});

test('what is done is marked from the facts, not from what somebody typed', () => {
  const doneOf = (facts: RunbookFacts) => shown('primary-down', facts).find(({ id }) => id === 'primary-prove-writes')?.done;
  expect([doneOf(primaryGone()), doneOf(aCluster()), doneOf(split)]).toEqual([false, true, false]);
});

test('a dead primary that Patroni will replace is waited for; nothing is promoted with loss while somebody has every row', () => {
  const ids = (facts: RunbookFacts) => shown('primary-down', facts).map(({ id }) => id);
  expect(ids(primaryGone())).not.toContain('primary-promote-with-loss');
  expect(ids(primaryGone({ isAgreed: false, wouldFailOver: false }))).not.toContain('primary-promote');
  expect(ids(aCluster())).not.toContain('primary-promote');
});

test('the facts choose the runbook', () => {
  const fitting = (facts: RunbookFacts) => runbooks.filter(({ fits }) => fits(facts) === true).map(({ name }) => name);
  expect(fitting(aServer())).toEqual([]);
  expect(fitting(aCluster())).toEqual([]);
  expect(fitting(primaryGone())).toEqual(['primary-down']);
  expect(fitting(split)[0]).toBe('partition');
  expect(fitting(everybodyGone)).toEqual(['total-outage']);
  expect(fitting(replicaGone)).toEqual(['replica-down']);
  expect(fitting(aServer(damaged))).toEqual(['database-corrupt']);
  expect(fitting(aServer({ isVolumeFull: true }))).toEqual(['disk-full']);
});

test('every dbkit command of a step exists, with its flags', async () => {
  const commands = [...new Set(everyStep.flatMap(({ command }) => command?.split(' && ') ?? []))].filter((line) =>
    line.startsWith('dbkit '),
  );
  expect(commands.length).toBeGreaterThan(40);
  for (const line of commands) {
    const words = line
      .replace(/"[^"]*"/g, 'X')
      .replace(/\{\w+\}/g, 'X')
      .split(' ')
      .slice(1);
    const { status, error, out } = await inProcess([...words, '--help']);
    expect({ status, error }, line).toEqual({ status: 0, error: '' });
    for (const flag of words.filter((word) => /^-/.test(word) && word !== '--data-dir')) expect(out, line).toContain(flag);
  }
});

test('a name that there is not: a near miss is named', () => {
  expect(() => runbookNamed('primary-dwn')).toThrow(/did you mean 'primary-down'/);
});

test.each(['public.x$(touch pwned)', 'public.`id`', `public.it's`, 'public.a"; id; "', 'public.my table'])(
  'a table named %s is one word of the command that a person pastes',
  (eventTable) => {
    const facts = {
      ...aServer(),
      event: 'DROP TABLE',
      eventTable,
      statement: `drop table ${eventTable}`,
      goodBackup: 'data_20261120_195400',
    };
    const command = shown('data-deleted', facts).find(({ id }) => id === 'deleted-one-table')?.command;
    const words = execFileSync('sh', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' }).split('\0');
    expect(words.slice(0, -1)).toEqual(['dbkit', 'backup', 'restore', '--before', `drop table ${eventTable}`, '--table', eventTable]);
  },
);

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { plainText } from '../../src/alerts/alert.ts';
import { changeAlert, changesOf, orderAlert, type RoleChange, roleRows, seenNow } from '../../src/cluster/role-rows.ts';
import { createClusterWatch, ownMembers, readSeen } from '../../src/cluster/watch.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { createSystem } from '../../src/machine/machine.ts';
import { everyRow } from '../harness/every-row.ts';
import { clusterFacts, memberFacts, ownFacts } from './a-cluster.ts';
import { type FakeCluster, fakeCluster, recorded } from './fake-cluster.ts';

let directory = '';
let cluster: FakeCluster | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dbkit-watch-'));
});
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
  await rm(directory, { recursive: true, force: true });
});
const never = new AbortController().signal;

everyRow<(typeof roleRows)[number]['id'], RoleChange>('a change of role', (change) => decide(roleRows, change), {
  'role-leads-now': { member: 'n2', from: 'synchronous', to: 'leader' },
  'role-leads-no-more': { member: 'n1', from: 'leader', to: 'replica' },
  'role-changed': { member: 'n3', from: 'replica', to: 'synchronous' },
});

const before = seenNow(clusterFacts(), undefined, '2026-11-28T12:00:00.000Z');

test('nothing has changed at the first look, nor where a role is not known', () => {
  expect(changesOf(undefined, before, ['n1', 'n2', 'n3'])).toEqual([]);
  const gone = clusterFacts([memberFacts('n1', { role: 'unknown', patroni: null, own: null, isWritable: null })], { leader: null });
  const now = seenNow(gone, before, '2026-11-28T12:01:00.000Z');
  expect(changesOf(before, now, ['n1', 'n2', 'n3'])).toEqual([]);
  expect(now.members['n1']).toEqual({ role: 'leader', answeredAt: '2026-11-28T12:00:00.000Z' });
  expect(now.members['n2']).toEqual({ role: 'synchronous', answeredAt: '2026-11-28T12:01:00.000Z' });
});

test('the old role and the new one are in the alert, and its end is told when everybody follows', () => {
  const moved = clusterFacts([memberFacts('n1'), memberFacts('n2', { role: 'leader' })], { leader: 'n2' });
  const now = seenNow(moved, before, '2026-11-28T12:01:00.000Z');
  const changes = changesOf(before, now, ['n1', 'n2', 'n3']);
  expect(changes).toEqual([
    { member: 'n1', from: 'leader', to: 'replica' },
    { member: 'n2', from: 'synchronous', to: 'leader' },
  ]);
  const alert = changeAlert(changes[1]!, now);
  expect(alert).toMatchObject({
    topic: 'role',
    severity: 'WARNING',
    role: { from: 'synchronous', to: 'leader' },
    command: 'dbkit ha status',
  });
  expect(plainText({ ...alert, at: now.at, host: 'db2', system: 'PostgreSQL', environment: null })).toContain(
    'Role: n2, from synchronous to leader',
  );
  expect(changeAlert(changes[0]!, { leader: null }).command).toBe('dbkit runbook primary-down');
  expect(orderAlert(moved)).toMatchObject({ topic: 'role', resolves: true, title: 'n2 leads, and every other member follows it' });
  expect(orderAlert(clusterFacts([memberFacts('n3', { own: ownFacts({ isStreaming: false }) })]))).toBeNull();
  expect(orderAlert(clusterFacts([], { leader: null }))).toBeNull();
});

test('a monitor on a member speaks of that one, and one that is on none of them speaks of all', () => {
  const members = ['10.0.0.1', '[fd00::2]', 'db3'].map((host, index) => ({
    name: `n${index + 1}`,
    api: `http://${host}:8008`,
    server: { host, port: 5432 },
  }));
  expect(ownMembers(members, new Set(['fd00::2', '127.0.0.1']))).toEqual(['n2']);
  expect(ownMembers(members, new Set(['db3']))).toEqual(['n3']);
  expect(ownMembers(members, new Set(['192.0.2.1']))).toEqual(['n1', 'n2', 'n3']);
});

test('across two checks of a monitor: a change is an event and an alert, and who answers last is remembered', async () => {
  let isMoved = false;
  cluster = await fakeCluster('4.0.7', (member, request) => {
    if (isMoved && member === 'n2') return { status: 500, body: '' };
    if (!isMoved || request !== 'GET /cluster') return undefined;
    const { members, ...rest } = recorded('4.0.7', 'cluster') as { members: { name: string; role: string }[] };
    const moved = members.map((one) => ({ ...one, port: 1, role: one.name === 'n3' ? 'leader' : 'replica' }));
    return { status: 200, body: { ...rest, members: moved } };
  });
  const system = await createSystem(
    createLogger('warn', () => undefined),
    {},
  );
  const watch = createClusterWatch({
    ...system,
    ...cluster.needs,
    log: system.log,
    config: { ...cluster.needs.config, stateDir: directory },
  });
  expect(await watch.news(never)).toEqual({ events: [], alerts: [] });
  const first = await readSeen(system.files, directory);
  isMoved = true;
  const { events, alerts } = await watch.news(never);
  expect(events).toEqual(['n2 leads no more; now it is replica', 'n3 leads now; before it was synchronous']);
  expect(alerts.map(({ title, role }) => [title, role?.to])).toEqual([
    [events[0], 'replica'],
    [events[1], 'leader'],
  ]);
  const seen = await readSeen(system.files, directory);
  expect(seen).toMatchObject({ leader: 'n3', members: { n2: { answeredAt: first!.members['n2']!.answeredAt } } });
  expect(seen!.members['n3']!.answeredAt).toBe(seen!.at);
});

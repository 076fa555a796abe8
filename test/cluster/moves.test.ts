import { afterEach, expect, test } from 'vitest';
import { failover } from '../../src/cluster/failover.ts';
import { setPaused } from '../../src/cluster/pause.ts';
import { cancelSwitchover, planSwitchover } from '../../src/cluster/planned-switchover.ts';
import { reinit, rejoin } from '../../src/cluster/rejoin.ts';
import { switchover } from '../../src/cluster/switchover.ts';
import { type FakeCluster, fakeCluster, recorded, versions } from './fake-cluster.ts';

let cluster: FakeCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});
const never = new AbortController().signal;

test.each(versions)('pause and resume of Patroni %s: done when every member that answers has seen it', async (version) => {
  let isPaused = false;
  let questions = 0;
  cluster = await fakeCluster(version, (member, request) => {
    if (request === 'PATCH /config') return { status: 200, body: {} };
    if (request !== 'GET /patroni') return undefined;
    if (member === 'n3') return { status: 500, body: '' };
    questions += 1;
    const seesIt = questions > 3; // The second member comes to it later.
    return { status: 200, body: { ...(recorded(version, `patroni-${member}`) as object), ...(isPaused && seesIt ? { pause: true } : {}) } };
  });
  isPaused = true;
  expect(await setPaused(cluster.needs, { paused: true, forMs: null }, never)).toEqual({ paused: true, until: null, seenBy: ['n1', 'n2'] });
  isPaused = false;
  expect(await setPaused(cluster.needs, { paused: false }, never)).toMatchObject({ paused: false });
  expect(cluster.asked.map(({ request, body }) => [request, JSON.parse(body)])).toEqual([
    ['PATCH /config', { pause: true, dbkit_pause_until: null }],
    ['PATCH /config', { pause: null, dbkit_pause_until: null }],
  ]);
});

test('a pause that Patroni does not take is no success', async () => {
  cluster = await fakeCluster('3.0.2', (_member, request) => (request === 'PATCH /config' ? { status: 502, body: 'no store' } : undefined));
  await expect(setPaused(cluster.needs, { paused: true, forMs: null }, never)).rejects.toMatchObject({
    code: 'service.failed',
    message: 'Patroni did not take it (502): no store',
  });
});

test.each(versions)('nothing is asked of Patroni %s while the servers are silent', async (version) => {
  cluster = await fakeCluster(version);
  const { needs } = cluster;
  await expect(switchover(needs, { to: 'n3', pause: true }, never)).rejects.toMatchObject({ code: 'recovery.refused', changed: false });
  await expect(switchover(needs, { to: 'n2', pause: true }, never)).rejects.toMatchObject({ message: 'n2 is the leader already' });
  await expect(failover(needs, { to: 'n3', acceptLoss: true, force: true }, never)).rejects.toMatchObject({
    message: 'the server of n3 does not let dbkit in, so nobody could tell what it holds',
  });
  await expect(failover(needs, { to: undefined, acceptLoss: true, force: true }, never)).rejects.toMatchObject({
    code: 'recovery.refused',
  });
  const yes = async (): Promise<boolean> => true;
  await expect(reinit(needs, { member: 'n1', acceptLoss: true }, yes, never)).rejects.toMatchObject({
    message: expect.stringContaining('there is no leader that takes writes'),
  });
  await expect(reinit(needs, { member: 'n9', acceptLoss: true }, yes, never)).rejects.toMatchObject({ code: 'usage.invalid' });
  expect(cluster.asked).toEqual([]);
});

test('a member that does not follow is never rebuilt by itself: the hint says how a person does it', async () => {
  cluster = await fakeCluster('4.0.7');
  await expect(rejoin(cluster.needs, { member: 'n1', timeoutMs: 300 }, never)).rejects.toMatchObject({
    code: 'service.failed',
    hint: expect.stringContaining('dbkit ha reinit n1'),
  });
  expect(cluster.asked).toEqual([]);
});

test.each(versions)(
  'a plan of Patroni %s is cancelled, which is done when the cluster tells of none; a time that is over is none',
  async (version) => {
    let isPlanned = true;
    cluster = await fakeCluster(version, (_member, request) => {
      if (request === 'DELETE /switchover') {
        isPlanned = false;
        return { status: 200, body: 'scheduled switchover deleted' };
      }
      const plan = isPlanned ? { scheduled_switchover: { at: '2036-01-01T03:00:00+00:00', from: 'n2' } } : {};
      return request === 'GET /cluster' ? { status: 200, body: { ...(recorded(version, 'cluster') as object), ...plan } } : undefined;
    });
    const over = new Date('2026-01-01T03:00:00Z');
    await expect(planSwitchover(cluster.needs, { to: undefined, at: over }, never)).rejects.toMatchObject({ code: 'usage.invalid' });
    expect(cluster.asked).toEqual([]);
    expect(await cancelSwitchover(cluster.needs, never)).toEqual({ at: null, from: null, to: null });
    expect(await cancelSwitchover(cluster.needs, never)).toMatchObject({ at: null });
    expect(cluster.asked.map(({ request }) => request)).toEqual(['DELETE /switchover']);
  },
);

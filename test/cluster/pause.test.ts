import { afterEach, expect, test } from 'vitest';
import { setPaused } from '../../src/cluster/pause.ts';
import { reportCluster } from '../../src/cluster/report.ts';
import { type FakeCluster, fakeCluster, recorded } from './fake-cluster.ts';

let cluster: FakeCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});
const never = new AbortController().signal;
const NOON = new Date('2026-11-28T12:00:00.000Z');
const at = (time: Date) => ({ ...cluster!.needs, clock: { ...cluster!.needs.clock, now: () => time } });

/** A Patroni that keeps what it is told, as the store of agreement does. */
async function remembering(before: object = {}, refuses = false): Promise<() => Record<string, unknown>> {
  let config = { ...(recorded('3.0.2', 'config') as object), ...before } as Record<string, unknown>;
  cluster = await fakeCluster('3.0.2', (member, request) => {
    const [method, path] = request.split(' ') as [string, string];
    if (method === 'PATCH') {
      if (refuses) return { status: 502, body: 'no store' };
      config = { ...config, ...(JSON.parse(cluster!.asked.at(-1)!.body) as object) };
      return { status: 200, body: {} };
    }
    const pause = config['pause'] === true ? { pause: true } : {};
    if (path === '/config') return { status: 200, body: config };
    if (path === '/patroni') return { status: 200, body: { ...(recorded('3.0.2', `patroni-${member}`) as object), ...pause } };
    return path === '/cluster' ? { status: 200, body: { ...(recorded('3.0.2', 'cluster') as object), ...pause } } : undefined;
  });
  return () => config;
}

test('a pause for two hours is in every report, and the first report after it ends it', async () => {
  const config = await remembering();
  const until = '2026-11-28T14:00:00.000Z';
  expect(await setPaused(at(NOON), { paused: true, forMs: 7_200_000 }, never)).toMatchObject({ paused: true, until });
  const during = await reportCluster(at(new Date('2026-11-28T13:59:59.000Z')), never);
  expect(during).toMatchObject({ paused: true, pausedUntil: until });
  expect(during.findings.map(({ id }) => id)).toContain('failover-paused-for-a-time');
  expect(config()).toMatchObject({ pause: true });
  const after = await reportCluster(at(new Date(until)), never);
  expect(after).toMatchObject({ paused: false, pausedUntil: null });
  expect(config()).toMatchObject({ pause: null, dbkit_pause_until: null });
});

test('a pause without a limit, and one of patronictl, are left alone', async () => {
  const config = await remembering({ pause: true });
  expect(await reportCluster(at(new Date('2036-01-01T00:00:00.000Z')), never)).toMatchObject({ paused: true, pausedUntil: null });
  expect(cluster!.asked).toEqual([]);
  expect(config()['pause']).toBe(true);
});

test.each(['2026-11-28T11:00:00.000Z', '2026-11-28T16:00:00.000Z'])(
  'the end %s that `patronictl resume` left behind is removed as soon as it is seen, so that it ends no later pause',
  async (until) => {
    const config = await remembering({ dbkit_pause_until: until });
    await reportCluster(at(NOON), never);
    expect(cluster!.asked.map(({ body }) => JSON.parse(body))).toEqual([{ dbkit_pause_until: null }]);
    expect(config()).not.toHaveProperty('pause');
  },
);

test('a pause that is over and cannot be ended is critical: nobody would take over', async () => {
  await remembering({ pause: true, dbkit_pause_until: '2026-11-28T11:00:00.000Z' }, true);
  const { paused, findings } = await reportCluster(at(NOON), never);
  expect(paused).toBe(true);
  expect(findings).toContainEqual(expect.objectContaining({ id: 'pause-is-over', severity: 'critical' }));
});

test('an end that nobody can read is none', async () => {
  await remembering({ pause: true, dbkit_pause_until: 'tomorrow' });
  expect(await reportCluster(at(NOON), never)).toMatchObject({ paused: true, pausedUntil: null });
});

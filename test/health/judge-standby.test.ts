import { afterEach, describe, expect, test } from 'vitest';
import { createLeading } from '../../src/cluster/leading.ts';
import { judgeStandby, type Standby } from '../../src/health/probes/replication.ts';
import { type FakeCluster, fakeCluster } from '../cluster/fake-cluster.ts';

const levels = { warning: 30, critical: 300 };
const well: Standby = {
  seconds: 0,
  receiving: true,
  paused: false,
  follows: true,
  behind: 0,
  upstream: '10.0.0.1:5432',
  timeline: 4,
};
const cut: Standby = { ...well, receiving: false, behind: null, upstream: null, timeline: null };

describe('a standby', () => {
  test.each<[string, Standby, string | null | undefined, 'ok' | 'warning' | 'critical', string]>([
    ['of no cluster', well, undefined, 'ok', 'a standby of 10.0.0.1:5432 on timeline 4, replayed all it has received'],
    ['that follows', well, 'n1', 'ok', 'a standby of 10.0.0.1:5432 on timeline 4, replayed all it has received; n1 leads'],
    [
      'that is behind',
      { ...well, seconds: 42, behind: 3 * 1024 * 1024 },
      'n1',
      'warning',
      'a standby of 10.0.0.1:5432 on timeline 4, 42 s behind (3.0 MiB); n1 leads',
    ],
    [
      'that nobody leads',
      cut,
      null,
      'warning',
      'a standby, replayed all it has received, without a connection to its primary; no member says that it leads',
    ],
    [
      'whose leader is there',
      cut,
      'n2',
      'warning',
      'a standby, replayed all it has received, without a connection to its primary; n2 leads',
    ],
  ])('%s', (_what, row, leader, status, summary) => {
    const { data, ...judged } = judgeStandby(row, leader, levels);
    expect(judged).toMatchObject({ status, summary });
    expect(data).toEqual(expect.objectContaining(leader === undefined ? {} : { leader }));
    if (leader === undefined) expect(data).not.toHaveProperty('leader');
  });

  test('is told the next step by who leads', () => {
    expect(judgeStandby(cut, undefined, levels).hint).toContain('primary_conninfo');
    expect(judgeStandby(cut, null, levels).hint).toContain('dbkit ha why-not');
    expect(judgeStandby(cut, 'n2', levels).hint).toContain('dbkit ha status');
    expect(judgeStandby({ ...well, paused: true }, 'n2', levels).hint).toContain('pg_wal_replay_resume');
  });
});

describe('the member that leads', () => {
  let cluster: FakeCluster;
  afterEach(() => cluster.close());
  const never = new AbortController().signal;

  test('is the one whose Patroni says so, and nobody where none does', async () => {
    let leader: string | null = 'n2';
    cluster = await fakeCluster('4.0.7', (member, request) =>
      request === 'GET /leader' ? { status: member === leader ? 200 : 503, body: {} } : undefined,
    );
    const leading = createLeading(cluster.needs);
    expect(await leading.leader(never)).toBe('n2');
    leader = null;
    expect(await leading.leader(never)).toBeNull();
  });
});

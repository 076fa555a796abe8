import { afterEach, expect, test } from 'vitest';
import { membersOf } from '../../src/cluster/members.ts';
import { createPatroni } from '../../src/cluster/patroni.ts';
import type { ClusterReport } from '../../src/cluster/report.ts';
import { checkCluster, clusterHistory, reportCluster, whyNot } from '../../src/cluster/report.ts';
import { type FakeCluster, fakeCluster, recorded, versions } from './fake-cluster.ts';

let cluster: FakeCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});
const never = new AbortController().signal;

const withoutVersion = ({ members, ...report }: ClusterReport) => ({
  ...report,
  members: members.map(({ patroni, server: _, ...member }) => ({
    ...member,
    patroni: patroni && { ...patroni, version: '', storeSeenSecondsAgo: 0 },
  })),
});

test('the report has one shape for every version', async () => {
  const reports: ClusterReport[] = [];
  for (const version of versions) {
    cluster = await fakeCluster(version);
    reports.push(await reportCluster(cluster.needs, never));
    await cluster.close();
  }
  expect(withoutVersion(reports[0]!)).toEqual(withoutVersion(reports[1]!));
  expect(reports[0]).toMatchObject({ scope: 'lab', leader: 'n2', agreed: true, paused: false, synchronous: true, ttlSeconds: 20 });
  expect(reports[0]!.members.map(({ name, role }) => [name, role])).toEqual([
    ['n1', 'replica'],
    ['n2', 'leader'],
    ['n3', 'synchronous'],
  ]);
});

test('with the store gone the members are known, and so is who runs as primary', async () => {
  cluster = await fakeCluster('3.0.2', (_member, request) => (request === 'GET /cluster' ? { status: 502, body: '' } : undefined));
  const report = await reportCluster(cluster.needs, never);
  expect(report).toMatchObject({ leader: 'n2', agreed: false });
  expect(report.findings.map(({ id }) => id)).toContain('store-unreadable');
});

test('a member that was cut off goes on telling what it knew, and is not believed', async () => {
  const old = recorded('3.0.2', 'cluster') as { members: { name: string; role: string }[] };
  const stale = { members: old.members.map((one) => ({ ...one, role: one.name === 'n1' ? 'leader' : 'replica' })) };
  const own = recorded('3.0.2', 'patroni-n1') as object;
  cluster = await fakeCluster('3.0.2', (member, request) => {
    if (member !== 'n1') return undefined;
    if (request === 'GET /cluster') return { status: 200, body: stale };
    return request === 'GET /patroni' ? { status: 200, body: { ...own, dcs_last_seen: 1_700_000_000 } } : undefined;
  });
  const report = await reportCluster(cluster.needs, never);
  expect(report.leader).toBe('n2');
  expect(report.findings).toContainEqual(expect.objectContaining({ id: 'store-not-seen', member: 'n1', severity: 'critical' }));
});

test('a member whose loop stands still, one that is silent, and one that answers with something else', async () => {
  cluster = await fakeCluster('4.0.7', (member, request) => {
    if (member === 'n1') return request === 'GET /liveness' ? { status: 503, body: {} } : undefined;
    return member === 'n3' ? { status: 200, body: '<html>an error page</html>' } : undefined;
  });
  const { findings } = await reportCluster(cluster.needs, never);
  expect(findings).toContainEqual(expect.objectContaining({ id: 'loop-stands-still', member: 'n1' }));
  expect(findings).toContainEqual(expect.objectContaining({ id: 'member-silent', member: 'n3' }));
});

test('nobody answers: nobody can tell', async () => {
  cluster = await fakeCluster('3.0.2', () => ({ status: 500, body: '' }));
  const check = await checkCluster(cluster.needs, never);
  expect(check).toMatchObject({ status: 'unknown', write: null, leader: null });
  expect(check.findings[0]!.id).toBe('no-member-answers');
  expect(await clusterHistory(cluster.needs, never)).toEqual({ known: false, paused: null, changes: [] });
});

test('a write address where nobody listens is critical', async () => {
  cluster = await fakeCluster('3.0.2', undefined, { writeAddress: '127.0.0.1:1' });
  const check = await checkCluster(cluster.needs, never);
  expect(check).toMatchObject({ status: 'critical', write: { address: '127.0.0.1:1', committed: false, reachesLeader: null } });
  expect(check.findings[0]).toMatchObject({ id: 'write-address-silent', severity: 'critical' });
});

test('why-not names one member, and refuses one that there is not; history is the newest first', async () => {
  cluster = await fakeCluster('4.0.7');
  expect((await whyNot(cluster.needs, 'n1', never)).candidates.map(({ member }) => member)).toEqual(['n1']);
  await expect(whyNot(cluster.needs, 'n9', never)).rejects.toMatchObject({ code: 'usage.invalid' });
  const { changes } = await clusterHistory(cluster.needs, never);
  expect(changes).toEqual([expect.objectContaining({ timeline: 1, newLeader: 'n2' })]);
});

test('an answer that is longer than any of Patroni’s is none, and is not read to its end', async () => {
  cluster = await fakeCluster('4.0.7', (member) => (member === 'n1' ? { status: 200, body: `[${'0,'.repeat(800_000)}0]` } : undefined));
  const ask = createPatroni(undefined);
  const { api } = membersOf(cluster.needs.config.ha, 5432)[0]!;
  expect(await ask({ api }, '/history', never)).toMatchObject({
    status: 200,
    json: undefined,
    text: expect.stringContaining('longer than 1024 KiB'),
  });
  expect((await reportCluster(cluster.needs, never)).findings).toContainEqual(
    expect.objectContaining({ id: 'member-silent', member: 'n1' }),
  );
});

test('a pooler that nobody can ask is a warning, and its state is in the report', async () => {
  cluster = await fakeCluster('4.0.7', undefined, { pooler: '127.0.0.1:1' });
  const report = await reportCluster(cluster.needs, never);
  expect(report.pooler).toMatchObject({ address: '127.0.0.1:1', paused: null, trouble: expect.stringContaining('ECONNREFUSED') });
  expect(report.findings.at(-1)).toMatchObject({ id: 'pooler-silent', severity: 'warning' });
});

test('no member in the configuration: the message says what to write', async () => {
  cluster = await fakeCluster('3.0.2');
  const config = { ...cluster.needs.config, ha: { ...cluster.needs.config.ha, members: {} } };
  await expect(reportCluster({ ...cluster.needs, config }, never)).rejects.toMatchObject({
    code: 'config.invalid',
    hint: expect.stringContaining('ha.members'),
  });
});

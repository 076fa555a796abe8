import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { parseConninfo, passwordIn } from '../../src/cluster/copying/conninfo.ts';
import { type FitFacts, type FitReason, fitRows, judgeFit } from '../../src/cluster/copying/fit-rows.ts';
import { hasWalBetween } from '../../src/cluster/copying/wal-between.ts';
import { bootstrapSection, bootstrapWords, recoveryConf } from '../../src/cluster/copying/whole-plan.ts';
import { furthestFirst, heldOf } from '../../src/cluster/restoring/held-data.ts';
import { forgetCluster, storeValue } from '../../src/cluster/restoring/store-keys.ts';
import { parseLsn, segmentName } from '../../src/formats/wal-segment.ts';

test('what Patroni says of the member to follow is read as libpq reads it, with the password from its file', () => {
  const said = 'dbname=postgres user=replicator host=10.0.0.1 port=5433 application_name=n\\ 2';
  const place = parseConninfo(said)!;
  expect(place).toEqual({ host: '10.0.0.1', port: 5433, user: 'replicator', database: 'postgres', sslMode: undefined });
  expect(parseConninfo("host='a b' user='it\\'s' sslmode=require")).toMatchObject({
    host: 'a b',
    user: "it's",
    port: 5432,
    sslMode: 'require',
  });
  expect(parseConninfo('')).toBeUndefined();
  const file = '#10.0.0.1:5433:*:replicator:no\n10.0.0.2:5433:*:replicator:other\n10.0.0.1:5433:*:replicator:a\\:b\\\\c\n';
  expect(passwordIn(file, place)).toBe('a:b\\c');
  expect(passwordIn('10.0.0.1:5433:*:postgres:x', place)).toBeUndefined();
});

const fits: FitFacts = { isDamaged: false, isOfThisCluster: true, isOfThisMajor: true, isOnTheWay: true, isWalThere: true };
const not: Record<FitReason, Partial<FitFacts>> = {
  'replica-other-cluster': { isOfThisCluster: false },
  'replica-damaged-backup': { isDamaged: true },
  'replica-other-major': { isOfThisMajor: false },
  'replica-off-the-timeline': { isOnTheWay: false },
  'replica-wal-gone': { isWalThere: false },
  'replica-fits': {},
};

test.each(fitRows.map(({ id }) => id))('a backup for a replica: %s', (id) => {
  expect(judgeFit({ ...fits, ...not[id] })).toMatchObject({ id, then: id === 'replica-fits' ? 'use' : 'refuse' });
});

test('WAL reaches from a backup to the leader along the timelines, each up to its fork', () => {
  const size = 16 * 1024 * 1024;
  const at = (segment: number): bigint => BigInt(segment * size);
  const way = { timeline: 2, history: [{ timeline: 1, switchLsn: parseLsn('0/3800000'), reason: '' }] }; // In segment 3.
  const names = (...all: readonly [timeline: number, segment: number][]): ReadonlySet<string> =>
    new Set(all.map(([timeline, segment]) => segmentName(timeline, BigInt(segment), size)));
  expect(hasWalBetween(way, names([1, 2], [2, 3], [2, 4]), [at(2), at(5) + 7n], size)).toBe(true);
  expect(hasWalBetween(way, names([1, 2], [1, 3], [2, 4]), [at(2), at(5)], size), 'the last segment of the ancestor will do').toBe(true);
  expect(hasWalBetween(way, names([1, 2], [1, 3], [1, 4]), [at(2), at(5)], size), 'behind the fork it is another’s').toBe(false);
  expect(hasWalBetween(way, names([1, 2], [2, 4]), [at(2), at(5)], size), 'a hole').toBe(false);
  expect(hasWalBetween(way, names(), [at(5), at(5) + 9n], size), 'the leader has it all').toBe(true);
});

const point = {
  ...{ label: 'data_20261128_120000', timeline: 3, stopBefore: '0/9024108' as string | null, needsUpTo: '0/9024200' },
  ...{ lastCommit: null, nextCommit: null, reason: 'point-between-records', because: '', otherTimelines: [], walBytes: 0 },
};

test('Patroni replays no more than what was asked for, and promotes then', () => {
  const label = point.label;
  const common = { restore_command: 'false', recovery_target_action: 'promote' };
  expect(recoveryConf({ point: null })).toEqual({ ...common, recovery_target_timeline: 'current' });
  expect(recoveryConf({ point })).toEqual({
    ...common,
    ...{ recovery_target_timeline: '3', recovery_target_lsn: '0/9024108', recovery_target_inclusive: 'off' },
  });
  expect(recoveryConf({ point: { ...point, stopBefore: null } })).toEqual({ ...common, recovery_target_timeline: '3' });
  expect(bootstrapWords({ label, point: null }, null)).toEqual(['--label', label]);
  expect(bootstrapWords({ label, point }, '/old')).toEqual([
    '--label',
    label,
    '--to-lsn',
    '0/9024108',
    '--exclusive',
    '--timeline',
    '3',
    '--old-data',
    '/old',
  ]);
  expect(bootstrapWords({ label, point: { ...point, stopBefore: null } }, null)).toEqual([
    '--label',
    label,
    '--to',
    'latest',
    '--timeline',
    '3',
  ]);
});

test('Patroni makes the first member with dbkit, with the settings that were shared, else with those of its file', () => {
  const before = { dcs: { ttl: 20 }, initdb: ['data-checksums'] };
  const whole = { call: "'/a b/dbkit'", plan: { label: point.label, point: null }, oldData: "/it's", settings: null };
  expect(bootstrapSection(before, whole)).toEqual({
    ...{ ...before, method: 'dbkit' },
    dbkit: {
      command: `'/a b/dbkit' ha bootstrap '--label' '${point.label}' '--old-data' '/it'\\''s'`,
      keep_existing_recovery_conf: false,
      recovery_conf: recoveryConf({ point: null }),
    },
  });
  expect(bootstrapSection(before, { ...whole, settings: { ttl: 60 } })).toMatchObject({ dcs: { ttl: 60 } });
  expect(bootstrapSection(undefined, whole)).toMatchObject({ dcs: {} });
});

test.each([2, 3] as const)('etcd forgets one cluster by version %i of its protocol, and nothing else', async (api) => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      asked.push(`${request.method} ${request.url} ${body}`.trim());
      const answer =
        request.url === '/v3/kv/range' ? { kvs: [{ value: Buffer.from('77').toString('base64') }] } : { node: { value: '77' } };
      response.writeHead(200).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const store = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, api, scope: 'shop' };
  const { signal } = new AbortController();
  expect(await storeValue(store, 'initialize', signal)).toBe('77');
  await forgetCluster(store, signal);
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  expect(asked).toEqual(
    api === 2
      ? ['GET /v2/keys/service/shop/initialize', 'DELETE /v2/keys/service/shop?recursive=true']
      : [
          `POST /v3/kv/range {"key":"${base64('/service/shop/initialize')}"}`,
          `POST /v3/kv/deleterange {"key":"${base64('/service/shop/')}","range_end":"${base64('/service/shop0')}"}`,
        ],
  );
  await expect(storeValue({ ...store, url: 'http://127.0.0.1:1' }, 'initialize', signal)).rejects.toMatchObject({ code: 'service.failed' });
});

test.each<[what: string, api: 2 | 3, status: number, body: object | undefined, value: string | undefined | 'unknown']>([
  ['the key is there', 2, 200, { node: { value: '77' } }, '77'],
  ['the key is not there', 2, 404, { errorCode: 100, message: 'Key not found' }, undefined],
  ['it has no such API', 2, 404, undefined, 'unknown'],
  ['it has no leader', 2, 500, { errorCode: 300, message: 'Raft Internal Error' }, 'unknown'],
  ['it is starting', 2, 503, undefined, 'unknown'],
  ['it says something else', 2, 200, {}, 'unknown'],
  ['the key is there', 3, 200, { kvs: [{ value: 'Nzc=' }] }, '77'],
  ['the key is not there', 3, 200, { header: {} }, undefined],
  ['it has no such API', 3, 404, undefined, 'unknown'],
  ['it has no leader', 3, 503, { error: 'etcdserver: no leader', code: 14 }, 'unknown'],
  ['it says something else', 3, 200, undefined, 'unknown'],
])('only an answer of etcd counts: %s (version %i)', async (_what, api, status, body, value) => {
  const server = createServer((_request, response) => {
    response.writeHead(status).end(body === undefined ? '404 page not found' : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const store = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, api, scope: 'shop' };
  const { signal } = new AbortController();
  const said = storeValue(store, 'initialize', signal);
  if (value === 'unknown')
    await expect(said).rejects.toMatchObject({ code: 'service.failed', message: expect.stringContaining(`(${status})`) });
  else expect(await said).toBe(value);
  const forgotten = forgetCluster(store, signal);
  if (status === 200 || value === undefined) await forgotten;
  else await expect(forgotten).rejects.toMatchObject({ code: 'service.failed' });
});

test('the member whose data is the furthest is the one with WAL of the newest timeline, though its pg_control does not know it yet', () => {
  const control = {
    systemIdentifier: '77',
    timeline: 3,
    state: 'in production',
    checkpointLsn: 100n,
    walSegmentSizeBytes: 16 * 1024 * 1024,
  };
  const of = (over: object, ...names: string[]) => heldOf({ ...control, ...over } as Parameters<typeof heldOf>[0], names);
  const promoted = of({}, '000000030000000000000005', '000000040000000000000006', '00000004.history');
  const oldLeader = of({ state: 'shut down', checkpointLsn: 200n }, '000000030000000000000006', '00000004.history');
  const replica = of({ state: 'shut down in recovery' }, '000000040000000000000006');
  expect([oldLeader, replica, promoted].toSorted(furthestFirst)).toEqual([promoted, replica, oldLeader]);
});

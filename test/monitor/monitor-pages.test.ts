import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get } from 'node:http';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import type { Backup } from '../../src/backups/backup.ts';
import type { HealthReport, ProbeReport } from '../../src/health/health.ts';
import { listenAddress } from '../../src/kernel/listen-address.ts';
import { mayAsk, servePages } from '../../src/machine/http-endpoint.ts';
import type { MonitorCheck } from '../../src/monitor/check.ts';
import { watchingAnew } from '../../src/monitor/decide.ts';
import { type Sample, withSample } from '../../src/monitor/measurements.ts';
import type { Picture } from '../../src/monitor/overview.ts';
import { picturePage, probePage } from '../../src/monitor/pages.ts';
import { nothing, told } from '../../src/recovery/losses.ts';
import type { RecoveryReport } from '../../src/recovery/report.ts';

const connection = (status: HealthReport['status']): ProbeReport => ({
  service: 'postgresql',
  name: 'connection',
  title: 'connection',
  status,
  summary: 'it lets clients in',
  hint: null,
  data: {},
  durationMs: 3,
});
const check = (status: HealthReport['status']): MonitorCheck => ({
  at: '2026-11-21T06:00:00.000Z',
  health: { status, at: '2026-11-21T06:00:00.000Z', durationMs: 12, probes: [connection(status)] },
  verdict: status === 'critical' ? 'failed' : 'well',
  action: 'none',
  decision: 'all-well',
  because: 'all is well',
  state: { ...watchingAnew, failures: 2, gaveUp: true },
  events: [],
  recovery: null,
});
const watched = { last: check('ok'), quietMs: 0, intervalMs: 60_000 };

test.each([
  ['9187', { host: '127.0.0.1', port: 9187 }],
  ['*:9187', { host: undefined, port: 9187 }],
  ['10.0.0.5:80', { host: '10.0.0.5', port: 80 }],
  ['[::1]:9187', { host: '::1', port: 9187 }],
  ['db.example:0', { host: 'db.example', port: 0 }],
  ['65536', undefined],
  [':9187', undefined],
  ['::1:9187', undefined],
  ['http://x', undefined],
  ['', undefined],
])('--listen %s', (text, address) => expect(listenAddress(text)).toEqual(address));

test('/healthz follows the last check, /readyz the connection, /livez only whether somebody looks', () => {
  expect(probePage('/healthz', watched)?.status).toBe(200);
  expect(probePage('/healthz', { ...watched, last: check('warning') })?.status).toBe(200);
  expect(probePage('/healthz', { ...watched, last: check('critical') })?.status).toBe(503);
  expect(probePage('/healthz', { ...watched, last: undefined })?.status).toBe(503);
  expect(probePage('/readyz', watched)).toMatchObject({ status: 200, body: 'it lets clients in\n' });
  expect(probePage('/readyz', { ...watched, last: check('critical') })?.status).toBe(503);
  expect(probePage('/readyz', { ...watched, last: undefined })?.status).toBe(503);
  expect(probePage('/livez', { ...watched, last: check('critical') })?.status).toBe(200);
  expect(probePage('/livez', { ...watched, quietMs: 299_000 })?.status).toBe(200);
  expect(probePage('/livez', { ...watched, quietMs: 301_000 }), 'a monitor that has ended looks no more')?.toMatchObject({ status: 503 });
  expect(probePage('/livez', { ...watched, quietMs: 301_000, isRecovering: true })?.status, 'a recovery takes as long as it takes').toBe(
    200,
  );
  expect(probePage('/livez', { ...watched, quietMs: 601_000, intervalMs: 600_000 })?.status).toBe(200);
  expect(probePage('/', watched)).toBeUndefined();
});

const now = new Date('2026-11-21T06:00:10.000Z');
const recovery: RecoveryReport = {
  at: '2026-11-21T05:00:01.000Z',
  durationMs: 1000,
  readyAt: '2026-11-21T05:00:04.000Z',
  findings: [{ code: 'relation.missing', path: 'base/5/<1>', evidence: 'the file is gone', severity: 'certain' }],
  decision: 'restore',
  reason: 'damaged-with-backup',
  because: 'a <table> file is missing',
  steps: [],
  quarantine: '/backups/quarantine/corrupt_20261121_050001',
  ...told(nothing),
};
const backup: Backup = {
  label: 'data_20261121_040000',
  path: '/backups/data_20261121_040000',
  kind: 'physical',
  createdAt: '2026-11-21T04:00:00.000Z',
  state: 'proven',
  pgVersion: 15,
  systemIdentifier: '7',
  sizeBytes: 31_457_280,
  provenAt: '2026-11-21T04:10:00.000Z',
};
const picture: Picture = {
  now,
  host: 'db<1>',
  environment: 'test & more',
  version: '1.2.3',
  check: check('ok'),
  quietMs: 10_000,
  intervalMs: 60_000,
  samples: [0, 5, 10].map((minute) => ({
    at: new Date(now.getTime() - (10 - minute) * 60_000).toISOString(),
    status: minute === 5 ? 'critical' : 'ok',
    latencySeconds: minute === 5 ? null : 0.004,
    diskPercent: 40 + minute,
    connections: 3 + minute,
  })),
  backups: [backup, { ...backup, label: 'data_20261121_030000', createdAt: '2026-11-21T03:00:00.000Z', state: 'damaged', provenAt: null }],
  recoveries: [recovery],
  drills: [
    { drill: 'leader-node', here: true, at: '2026-11-21T04:00:00.000Z', passed: false, rtoSeconds: { write: 35 }, lostRows: 0 },
    { drill: 'leader-node', at: '2026-11-20T04:00:00.000Z', passed: true, rtoSeconds: { write: 19.5, pooler: 20.1 }, lostRows: 0 },
    { drill: 'leader-node', at: '2026-10-20T04:00:00.000Z', passed: false, rtoSeconds: { write: 40 }, lostRows: 1 },
  ],
};
const pageAt = async (path: string, shown: Picture = picture) => (await picturePage(path, async () => shown))!;

test('/metrics shows the probes, the monitor, the backups and the recoveries', async () => {
  const { body } = await pageAt('/metrics');
  for (const line of [
    'dbkit_build_info{version="1.2.3"} 1',
    'dbkit_health_status 0',
    'dbkit_probe_status{service="postgresql",probe="connection"} 0',
    'dbkit_monitor_failures 2',
    'dbkit_monitor_gave_up 1',
    'dbkit_backups{kind="physical",state="proven"} 1',
    'dbkit_backups{kind="physical",state="damaged"} 1',
    `dbkit_backup_last_good_timestamp_seconds ${Date.parse(backup.createdAt) / 1000}`,
    `dbkit_backup_last_proven_timestamp_seconds ${Date.parse(backup.provenAt!) / 1000}`,
    'dbkit_recoveries_remembered{decision="restore"} 1',
    'dbkit_ha_drill_passed{drill="leader-node"} 1',
    'dbkit_ha_drill_passed{drill="leader-node",here="true"} 0',
    'dbkit_ha_drill_rto_seconds{drill="leader-node"} 20.1',
    'dbkit_ha_drill_lost_rows{drill="leader-node"} 0',
    'dbkit_last_recovery_duration_seconds 4',
    'dbkit_last_recovery_lost 0',
    'dbkit_last_recovery_loss_unknown 0',
  ])
    expect(body.split('\n')).toContain(line);
  const before = await pageAt('/metrics', { ...picture, check: undefined, backups: [], recoveries: [], drills: [] });
  expect(before.body).not.toContain('dbkit_health_status');
});

test('the page asks for nothing, runs nothing, and takes nothing that was written elsewhere for markup', async () => {
  const { body, policy } = await pageAt('/');
  expect(body).not.toMatch(/<script|<link|<img|<iframe|<form|style=|javascript:|https?:/i);
  expect(body).not.toContain('<1>');
  expect(body).toContain('db&lt;1&gt; (test &amp; more)');
  const style = /<style>([\s\S]*)<\/style>/.exec(body)![1]!;
  expect(policy).toContain(`'sha256-${createHash('sha256').update(style).digest('base64')}'`);
  for (const word of [
    'A person must look',
    'data_20261121_040000',
    'a &lt;table&gt; file is missing',
    'it answered after 4 s',
    'What happened last',
    'Connections <span class="dim">now 13, at most 13</span>',
    'Size of a base backup <span class="dim">now 30.0 MiB, at most 30.0 MiB</span>',
  ])
    expect(body).toContain(word);
});

const probe = (name: string, data: ProbeReport['data']): ProbeReport => ({ ...connection('ok'), name, title: name, summary: name, data });
const archived = (data: object): ProbeReport =>
  probe('wal-archive', {
    state: 'keeping',
    guarded: true,
    endLsn: '0/5000000',
    lagBytes: 512,
    lagSeconds: 2,
    ...data,
  } as ProbeReport['data']);
const kept = { label: 'data_1', state: 'good', ageSeconds: 60, proofAgeSeconds: 7200, backups: 2, restoreSeconds: 12, rtoSeconds: 300 };
const copy = {
  name: 'bucket',
  key: 'opens',
  label: 'data_1',
  ageSeconds: 3600,
  backups: 2,
  failing: null,
  walLagBytes: 0,
  walLagSeconds: 0,
} as const;

test.each<[string, readonly ProbeReport[], readonly string[]]>([
  [
    'moments, a drill and a copy',
    [archived({ fromAt: '2026-11-20T19:54:00.000Z' }), probe('backups', kept), probe('copies', [copy])],
    [
      '2026-11-20 19:54:00 UTC</time> on, and the WAL that is kept behind them, until <time datetime="2026-11-21T05:59:58.000Z">',
      'took <span class="ok">12 s</span>, and the tier allows 5 min; 2 h ago',
      '<th scope="row">bucket</th><td>data_1, 60 min old, of 2</td><td>nothing is missing</td><td class="ok">none</td>',
    ],
  ],
  [
    'a gap, a drill that took too long, a copy that fails',
    [
      archived({ fromAt: null }),
      probe('backups', { ...kept, restoreSeconds: 600 }),
      probe('copies', [{ ...copy, label: null, failing: 'the <bucket> is gone', walLagBytes: 9, walLagSeconds: 90 }]),
    ],
    [
      'which moments between backups: wal-archive',
      '<span class="critical">10 min</span>',
      'none that is verified',
      'the &lt;bucket&gt; is gone',
      '90 s behind',
    ],
  ],
  [
    'no backup, no copy',
    [probe('backups', { backups: 0 })],
    ['the check did not ask', 'No restore was rehearsed yet', 'Nothing is copied elsewhere'],
  ],
  [
    'nothing that could be asked',
    [probe('wal-archive', null), probe('backups', null), probe('copies', null)],
    [
      'moments between backups: wal-archive',
      'does not tell whether a restore was rehearsed',
      'does not tell what the copies elsewhere hold',
    ],
  ],
])('the page says what can be brought back: %s', async (_name, probes, words) => {
  const { body } = await pageAt('/', { ...picture, check: { ...check('ok'), health: { ...check('ok').health, probes } } });
  for (const word of words) expect(body).toContain(word);
});

test.each<[string, Partial<Picture>]>([
  ['Well', { check: { ...check('ok'), state: { ...watchingAnew, wellSince: '2026-11-21T05:00:00.000Z' } } }],
  ['Well, with warnings', { check: { ...check('warning'), state: watchingAnew } }],
  ['Down', { check: { ...check('critical'), state: watchingAnew } }],
  ['Paused', { check: { ...check('ok'), state: { ...watchingAnew, pausedUntil: '2026-11-21T07:00:00.000Z' } } }],
  ['Nobody knows', { quietMs: 900_000 }],
  ['Not known yet', { check: undefined, samples: [], backups: [], recoveries: [], drills: [] }],
])('the page says: %s', async (words, change) => {
  expect((await pageAt('/', { ...picture, ...change })).body).toContain(`<h1>${words}</h1>`);
});

test('the course of the last days keeps what was unwell for a moment, and forgets after a week', () => {
  const at = (minute: number): string => new Date(now.getTime() + minute * 60_000).toISOString();
  const sample = (minute: number, status: Sample['status'], latencySeconds: number | null): Sample => ({
    at: at(minute),
    status,
    latencySeconds,
    diskPercent: 1,
    connections: 2,
  });
  let samples: readonly Sample[] = [];
  for (const next of [sample(0, 'ok', 0.001), sample(1, 'critical', null), sample(2, 'ok', 0.002), sample(5, 'ok', 0.003)])
    samples = withSample(samples, next);
  expect(samples).toEqual([sample(0, 'critical', 0.002), sample(5, 'ok', 0.003)]);
  expect(withSample(samples, sample(6, 'ok', 0.001)), 'nothing to write').toBe(samples);
  expect(withSample(samples, sample(7 * 24 * 60 + 3, 'ok', 0.001))).toHaveLength(2);
  expect(withSample(samples, sample(-60, 'ok', 0.001)), 'the clock was set back').toEqual([sample(-60, 'ok', 0.001)]);
});

test.each<[string | undefined, boolean, boolean]>([
  ['localhost:9879', true, true],
  ['127.0.0.1', true, true],
  ['[::1]:9879', true, true],
  ['evil.example', true, false],
  ['127.0.0.1.evil.example', true, false],
  ['localhost.evil', true, false],
  ['10.0.0.5:9879', true, false],
  [undefined, true, false],
  ['10.0.0.5:9879', false, true],
  ['[fd00::1]:9879', false, true],
  ['db-monitor:9879', false, true],
  ['metrics.example.org', false, true],
  ['evil.example', false, false],
  [undefined, false, false],
])('asked as %s, on loopback only: %s, it answers: %s', (authority, isLocal, answers) =>
  expect(mayAsk(authority, { isLocal, hosts: isLocal ? [] : ['metrics.example.org'] })).toBe(answers),
);

test('clients that say nothing, or say it drop by drop, keep nobody out', async () => {
  const endpoint = await servePages({ host: '127.0.0.1', port: 0 }, async () => ({ status: 200, type: 'text/plain', body: 'here\n' }));
  const idle = Array.from({ length: 300 }, (_, index) => {
    const socket = connect(endpoint.port, '127.0.0.1', () => {
      if (index % 2) socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nX-a: ');
    });
    return socket.on('error', () => undefined);
  });
  try {
    for (let ask = 0; ask < 5; ask += 1) expect((await fetch(`http://127.0.0.1:${endpoint.port}/`)).status).toBe(200);
  } finally {
    for (const socket of idle) socket.destroy();
    await endpoint.close();
  }
});

test('a client that goes on sending still hears its answer', async () => {
  const endpoint = await servePages({ host: '127.0.0.1', port: 0 }, async () => ({ status: 200, type: 'text/plain', body: 'here\n' }));
  let [heard, failure] = ['', ''];
  const socket = connect({ port: endpoint.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.setEncoding('utf8').on('data', (text: string) => (heard += text));
  socket.on('error', ({ message }) => (failure = message));
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'end');
  for (let ask = 0; ask < 3; ask += 1)
    await new Promise<void>((resolve) => void socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', () => resolve()));
  socket.end();
  await once(socket, 'close');
  expect(failure).toBe('');
  expect(heard.match(/HTTP\/1\.1 200 /g), 'one request a connection').toHaveLength(1);
  await endpoint.close();
});

test('pages are read-only, and a port that is taken is said', async () => {
  const endpoint = await servePages({ host: '127.0.0.1', port: 0 }, async (path) => {
    if (path === '/broken') throw new Error('the disk is gone');
    return path === '/livez' ? { status: 200, type: 'text/plain', body: 'it watches\n' } : undefined;
  });
  const at = `http://127.0.0.1:${endpoint.port}`;
  try {
    expect(await (await fetch(`${at}/livez?verbose=1`)).text()).toBe('it watches\n');
    expect((await fetch(`${at}/livez`, { method: 'HEAD' })).status).toBe(200);
    expect((await fetch(`${at}/livez`, { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await fetch(`${at}/etc/passwd`)).status).toBe(404);
    expect((await fetch(`${at}/broken`)).status).toBe(500);
    expect((await fetch(`${at}/livez`)).headers.get('content-security-policy')).toBe("default-src 'none'");
    expect(await askedAs('evil.example', endpoint.port), 'a name that was made to lead here').toBe(421);
    expect(await askedAs('localhost:80', endpoint.port)).toBe(200);
    await expect(servePages({ host: '127.0.0.1', port: endpoint.port }, async () => undefined)).rejects.toMatchObject({
      code: 'port.in-use',
    });
  } finally {
    await endpoint.close();
  }
  await expect(fetch(`${at}/livez`)).rejects.toThrow();
});

const askedAs = (host: string, port: number): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    get({ port, path: '/livez', headers: { host } }, ({ statusCode }) => resolve(statusCode)).once('error', reject);
  });

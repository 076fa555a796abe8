import { expect, test } from 'vitest';
import { monitorPage } from '../../src/cli/monitor-pages.ts';
import type { HealthReport } from '../../src/core/health.ts';
import { listenAddress } from '../../src/core/listen-address.ts';
import { watchingAnew } from '../../src/core/monitor.ts';
import { servePages } from '../../src/system/http-endpoint.ts';
import type { MonitorCheck } from '../../src/usecases/monitor.ts';

const check = (status: HealthReport['status']): MonitorCheck => ({
  at: '2026-11-21T06:00:00.000Z',
  health: { status, at: '2026-11-21T06:00:00.000Z', durationMs: 12, probes: [] },
  verdict: status === 'critical' ? 'failed' : 'well',
  action: 'none',
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

test('/healthz follows the last check, /livez only whether somebody looks', () => {
  expect(monitorPage('/healthz', watched)?.status).toBe(200);
  expect(monitorPage('/healthz', { ...watched, last: check('warning') })?.status).toBe(200);
  expect(monitorPage('/healthz', { ...watched, last: check('critical') })?.status).toBe(503);
  expect(monitorPage('/healthz', { ...watched, last: undefined })?.status).toBe(503);
  expect(monitorPage('/livez', { ...watched, last: check('critical') })?.status).toBe(200);
  expect(monitorPage('/livez', { ...watched, quietMs: 599_000 })?.status).toBe(200);
  expect(monitorPage('/livez', { ...watched, quietMs: 601_000 })?.status).toBe(503);
  expect(monitorPage('/livez', { ...watched, quietMs: 601_000, intervalMs: 600_000 })?.status).toBe(200);
  expect(monitorPage('/', watched)).toBeUndefined();
});

test('/metrics shows the probes and what the monitor did', () => {
  expect(monitorPage('/metrics', { ...watched, last: undefined })?.status).toBe(503);
  const body = monitorPage('/metrics', watched)!.body;
  expect(body).toContain('\ndbkit_health_status 0\n');
  expect(body).toContain('\ndbkit_monitor_failures 2\n');
  expect(body).toContain('\ndbkit_monitor_gave_up 1\n');
  expect(body.split('\n').filter((line) => line !== '' && !/^(# (HELP|TYPE) )?dbkit_\w+(\{.*\})? \S/.test(line))).toEqual([]);
});

test('pages are read-only, and a port that is taken is said', async () => {
  const endpoint = await servePages({ host: '127.0.0.1', port: 0 }, (path) =>
    path === '/livez' ? { status: 200, type: 'text/plain', body: 'it watches\n' } : undefined,
  );
  const at = `http://127.0.0.1:${endpoint.port}`;
  try {
    expect(await (await fetch(`${at}/livez?verbose=1`)).text()).toBe('it watches\n');
    expect((await fetch(`${at}/livez`, { method: 'HEAD' })).status).toBe(200);
    expect((await fetch(`${at}/livez`, { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await fetch(`${at}/etc/passwd`)).status).toBe(404);
    await expect(servePages({ host: '127.0.0.1', port: endpoint.port }, () => undefined)).rejects.toMatchObject({ code: 'port.in-use' });
  } finally {
    await endpoint.close();
  }
  await expect(fetch(`${at}/livez`)).rejects.toThrow();
});

import { hostname } from 'node:os';
import { listBackups } from '../backups/list-backups.ts';
import { wordsOf } from '../kernel/errors.ts';
import { type ListenAddress, listenAddress } from '../kernel/listen-address.ts';
import type { Endpoint, Page } from '../machine/http-pages.ts';
import type { MonitorCheck } from '../monitor/loop.ts';
import { pictureMetrics } from '../monitor/metrics.ts';
import type { Picture } from '../monitor/overview.ts';
import { pagePolicy, statusPage } from '../monitor/page/page.ts';
import type { Parts } from './parts.ts';

const SILENT_CHECKS = 5;
/** A recovery takes as long as it takes; a monitor that is in one is alive. */
const SILENT_MS = 600_000;

/** A monitor's pages, and where it leaves what it saw. */
export interface MonitorPages extends Endpoint {
  onCheck(check: MonitorCheck): void;
}

/** Shows what a monitor sees over HTTP where a flag or the configuration says so, until it is closed. */
export async function openPages(
  app: Pick<Parts, 'servePages' | 'clock' | 'config' | 'backups' | 'history' | 'memory' | 'log'>,
  { listen, intervalMs, version }: { readonly listen: ListenAddress | undefined; readonly intervalMs: number; readonly version: string },
): Promise<MonitorPages | undefined> {
  const address = listen ?? (app.config.monitor.listen === undefined ? undefined : listenAddress(app.config.monitor.listen));
  if (address === undefined) return undefined;
  const host = hostname();
  let last: MonitorCheck | undefined;
  let lastMs = app.clock.monotonicMs();
  const picture = async (): Promise<Picture> => {
    const forever = new AbortController().signal;
    const { backups } = await listBackups(app, forever).catch((cause: unknown) => {
      app.log.debug('pages.no-backups', `the backups cannot be listed: ${wordsOf(cause)}`);
      return { backups: [] };
    });
    return {
      now: app.clock.now(),
      host,
      environment: app.config.alerts.environment ?? null,
      version,
      check: last,
      quietMs: app.clock.monotonicMs() - lastMs,
      intervalMs,
      samples: await app.memory.samples(),
      backups,
      recoveries: await app.history.all(),
    };
  };
  const endpoint = await app.servePages(address, async (path) => {
    const watched = { last, quietMs: app.clock.monotonicMs() - lastMs, intervalMs };
    return probePage(path, watched) ?? picturePage(path, picture);
  });
  app.log.info('pages.begun', `its page is http://${address.host ?? host}:${endpoint.port}/`);
  return {
    ...endpoint,
    onCheck: (check) => {
      last = check;
      lastMs = app.clock.monotonicMs();
    },
  };
}

export interface Watched {
  readonly last: MonitorCheck | undefined;
  /** Since the last check, or since the monitor began. */
  readonly quietMs: number;
  readonly intervalMs: number;
}

const plain = (status: number, body: string): Page => ({ status, type: 'text/plain; charset=utf-8', body: `${body}\n` });

/**
 * For probes, answered from the last check alone: /livez says whether the monitor still looks, /readyz whether the server lets clients in,
 * /healthz whether all is well (503 when it is critical or unknown).
 */
export function probePage(path: string, { last, quietMs, intervalMs }: Watched): Page | undefined {
  switch (path) {
    case '/livez':
      return quietMs <= Math.max(SILENT_MS, SILENT_CHECKS * intervalMs)
        ? plain(200, 'it watches')
        : plain(503, `its last check was ${Math.round(quietMs / 1000)} s ago`);
    case '/readyz': {
      const connection = last?.health.probes.find(({ name }) => name === 'connection');
      if (last === undefined || connection === undefined) return plain(503, 'the first check is not done yet');
      return plain(connection.status === 'ok' || connection.status === 'warning' ? 200 : 503, connection.summary);
    }
    case '/healthz':
      if (last === undefined) return plain(503, 'unknown: the first check is not done yet');
      return plain(last.health.status === 'ok' || last.health.status === 'warning' ? 200 : 503, `${last.health.status}: ${last.because}`);
    default:
      return undefined;
  }
}

/** For Prometheus, programs and people. */
export async function picturePage(path: string, picture: () => Promise<Picture>): Promise<Page | undefined> {
  switch (path) {
    case '/metrics':
      return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await pictureMetrics(await picture()) };
    case '/api/status':
      return {
        status: 200,
        type: 'application/json; charset=utf-8',
        body: `${JSON.stringify(statusDocument(await picture()), null, 2)}\n`,
      };
    case '/':
      return { status: 200, type: 'text/html; charset=utf-8', body: statusPage(await picture()), policy: pagePolicy };
    default:
      return undefined;
  }
}

/** Fields are only ever added. */
const statusDocument = ({ now, host, environment, version, check, quietMs, backups, recoveries, samples }: Picture) => ({
  schema: 'dbkit.picture/v1',
  at: now.toISOString(),
  host,
  environment,
  version,
  check: check ?? null,
  secondsSinceCheck: Math.round(quietMs / 1000),
  backups,
  recoveries,
  samples,
});

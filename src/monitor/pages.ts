import { isOf } from '../health/health.ts';
import type { Page } from '../machine/http-pages.ts';
import type { MonitorCheck } from './check.ts';
import { pictureMetrics } from './metrics.ts';
import type { Picture } from './overview.ts';
import { pagePolicy, statusPage } from './page/page.ts';

const SILENT_CHECKS = 5;
/** The slowest probe has a minute, and so have the two questions that a doubtful check asks again. */
const SILENT_MS = 180_000;

export interface Watched {
  readonly last: MonitorCheck | undefined;
  /** Since the last check, or since the monitor began. */
  readonly quietMs: number;
  readonly intervalMs: number;
  /** A recovery takes as long as it takes; a monitor that is in one is alive. */
  readonly isRecovering?: boolean;
}

const plain = (status: number, body: string): Page => ({ status, type: 'text/plain; charset=utf-8', body: `${body}\n` });

/**
 * For probes, answered from the last check alone: /livez says whether the monitor still looks, /readyz whether the server lets clients in,
 * /healthz whether all is well (503 when it is critical or unknown).
 */
export function probePage(path: string, { last, quietMs, intervalMs, isRecovering = false }: Watched): Page | undefined {
  switch (path) {
    case '/livez':
      return isRecovering || quietMs <= Math.max(SILENT_MS, SILENT_CHECKS * intervalMs)
        ? plain(200, 'it watches')
        : plain(503, `its last check was ${Math.round(quietMs / 1000)} s ago`);
    case '/readyz': {
      const connection = last?.health.probes.find(isOf('connection'));
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
const statusDocument = ({ now, host, environment, version, check, quietMs, backups, recoveries, drills, samples }: Picture) => ({
  schema: 'dbkit.picture/v1',
  at: now.toISOString(),
  host,
  environment,
  version,
  check: check ?? null,
  secondsSinceCheck: Math.round(quietMs / 1000),
  backups,
  recoveries,
  drills,
  samples,
});

import type { Page } from '../core/pages.ts';
import { healthFormats } from '../output/health-formats.ts';
import type { MonitorCheck } from '../usecases/monitor.ts';

const SILENT_CHECKS = 5;
/** A recovery takes as long as it takes; a monitor that is in one is alive. */
const SILENT_MS = 600_000;

export interface Watched {
  readonly last: MonitorCheck | undefined;
  /** Since the last check, or since the monitor began. */
  readonly quietMs: number;
  readonly intervalMs: number;
}

/**
 * What a monitor shows: /metrics for Prometheus, /healthz with the status of the last check (503 when it is critical or unknown), /livez
 * that only says whether it still looks. Nothing here asks the server: many may ask this.
 */
export function monitorPage(path: string, { last, quietMs, intervalMs }: Watched): Page | undefined {
  const plain = (status: number, body: string): Page => ({ status, type: 'text/plain; charset=utf-8', body: `${body}\n` });
  switch (path) {
    case '/livez':
      return quietMs <= Math.max(SILENT_MS, SILENT_CHECKS * intervalMs)
        ? plain(200, 'it watches')
        : plain(503, `its last check was ${Math.round(quietMs / 1000)} s ago`);
    case '/healthz':
      if (last === undefined) return plain(503, 'unknown: the first check is not done yet');
      return plain(last.health.status === 'ok' || last.health.status === 'warning' ? 200 : 503, `${last.health.status}: ${last.because}`);
    case '/metrics':
      if (last === undefined) return plain(503, 'the first check is not done yet');
      return {
        status: 200,
        type: 'text/plain; version=0.0.4; charset=utf-8',
        body: `${healthFormats.prometheus(last.health)}${counters(last)}`,
      };
    default:
      return undefined;
  }
}

/** What the monitor itself did, beside what the probes say. */
function counters({ state }: MonitorCheck): string {
  const figures = [
    ['dbkit_monitor_failures', 'Checks in a row in which the server was down, hung or damaged.', state.failures],
    ['dbkit_monitor_recoveries', 'Recoveries since the server was last well for a whole cooldown.', state.recoveries],
    ['dbkit_monitor_gave_up', '1 when a person must look before anything is recovered again.', state.gaveUp ? 1 : 0],
  ] as const;
  return figures.map(([name, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`).join('');
}

import { factsOf, type HealthReport, type HealthStatus } from '../health/health.ts';

/** The figures of one check for the course of the last days. */
export interface Sample {
  readonly at: string;
  readonly status: HealthStatus;
  /** Of a query; null when it was not answered or not asked. */
  readonly latencySeconds: number | null;
  /** Of the data's volume. */
  readonly diskPercent: number | null;
  /** Of clients, as many as there were at most; null where nobody could count them. */
  readonly connections: number | null;
}

const SPACING_MS = 5 * 60_000;
const SPAN_MS = 7 * 24 * 3_600_000;
const worse: readonly HealthStatus[] = ['ok', 'warning', 'unknown', 'critical'];

/** Pure: one report's figures. */
export function sampleOf({ at, status, probes }: HealthReport): Sample {
  const volumes = factsOf(probes, 'disk') ?? [];
  const volume = volumes.find(({ what }) => what.split(', ').includes('data')) ?? volumes[0];
  return {
    at,
    status,
    latencySeconds: factsOf(probes, 'latency')?.seconds ?? null,
    diskPercent: volume?.percent ?? null,
    connections: factsOf(probes, 'connections')?.used ?? null,
  };
}

/**
 * Pure: seven days with a sample for every five minutes at most. A check within five minutes of the last sample only makes it worse: what was
 * unwell for a moment stays to be seen. The same list when nothing changed, so that nothing need be written.
 */
export function withSample(samples: readonly Sample[], next: Sample): readonly Sample[] {
  const nowMs = Date.parse(next.at);
  const sane = samples.filter(({ at }) => Date.parse(at) <= nowMs && nowMs - Date.parse(at) < SPAN_MS); // A clock that was set back begins anew.
  const last = sane.at(-1);
  if (last === undefined || nowMs - Date.parse(last.at) >= SPACING_MS) return [...sane, next];
  const status = worse.indexOf(next.status) > worse.indexOf(last.status) ? next.status : last.status;
  const latencySeconds = greater(next.latencySeconds, last.latencySeconds);
  const connections = greater(next.connections, last.connections);
  const isSame = status === last.status && latencySeconds === last.latencySeconds && connections === last.connections;
  if (isSame && sane.length === samples.length) return samples;
  return [...sane.slice(0, -1), { ...last, status, latencySeconds, connections }];
}

const greater = (next: number | null, last: number | null): number | null => (next === null ? last : Math.max(next, last ?? 0));

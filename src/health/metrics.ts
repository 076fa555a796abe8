import { type HealthReport, healthExit } from './health.ts';

type Client = typeof import('prom-client');
type Labelled = Readonly<Record<string, string>>;

/** Figures of one moment in Prometheus' text format; the registry is made for the question and holds nothing else. */
export async function exposition(fill: (gauge: Gauge) => void): Promise<string> {
  const { default: client } = (await import('prom-client')) as unknown as { default: Client };
  const registry = new client.Registry();
  fill((name, help, samples) => {
    const labelNames = [...new Set(samples.flatMap(([labels]) => Object.keys(labels)))];
    const Kind = name.endsWith('_total') ? client.Counter : client.Gauge;
    const metric = new Kind({ name, help, labelNames, registers: [registry] });
    for (const [labels, value] of samples) metric.labels(labels).inc(value);
  });
  return (await registry.metrics()).replace(/\n{2,}/g, '\n');
}
/** Names follow prometheus.io/docs/practices/naming: base units, `_total` for what only grows. */
export type Gauge = (name: string, help: string, samples: readonly (readonly [labels: Labelled, value: number])[]) => void;

export const one = (value: number): readonly (readonly [Labelled, number])[] => [[{}, value]];

/** The verdict of `dbkit health`. */
export const healthMetrics = (report: HealthReport): Promise<string> => exposition((gauge) => ofHealth(gauge, report));

export function ofHealth(gauge: Gauge, { status, at, durationMs, probes }: HealthReport): void {
  const asked = probes.flatMap((probe) => (probe.status === 'skipped' ? [] : [{ ...probe, status: probe.status }]));
  const each = (value: (probe: (typeof asked)[number]) => number): (readonly [Labelled, number])[] =>
    asked.map((probe) => [{ service: probe.service, probe: probe.name }, value(probe)]);
  gauge('dbkit_health_status', 'Worst status of all probes: 0 ok, 1 warning, 2 critical, 3 unknown.', one(healthExit[status]));
  gauge('dbkit_health_timestamp_seconds', 'When the probes were asked, in Unix time.', one(Date.parse(at) / 1000));
  gauge('dbkit_health_duration_seconds', 'How long the whole check took.', one(durationMs / 1000));
  gauge(
    'dbkit_probe_status',
    'Status of one probe: 0 ok, 1 warning, 2 critical, 3 unknown.',
    each((probe) => healthExit[probe.status]),
  );
  gauge(
    'dbkit_probe_duration_seconds',
    'How long one probe took.',
    each((probe) => probe.durationMs / 1000),
  );
}

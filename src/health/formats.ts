import type { HealthReport, ProbeReport } from './health.ts';
import { healthMetrics } from './metrics.ts';

/** How a whole check is said to other programs. Nothing here decides anything: the statuses are the report's. */
export const healthFormats = { nagios, prometheus: healthMetrics, junit } as const satisfies Record<
  string,
  (report: HealthReport, options: FormatOptions) => string | Promise<string>
>;
export type HealthFormat = keyof typeof healthFormats;

interface FormatOptions {
  /** True if a warning fails the test (JUnit knows no warnings). */
  readonly strict: boolean;
}

/** Monitoring Plugins Development Guidelines, "Plugin Output for Nagios": one line with figures after `|`, then a line for each probe that is not well. */
function nagios({ status, probes, durationMs }: HealthReport): string {
  const plain = (text: string): string => text.replaceAll('|', '/').replaceAll('\n', ' ');
  const unwell = probes.filter((probe) => probe.status !== 'ok' && probe.status !== 'skipped');
  const first = unwell.find((probe) => probe.status === status) ?? unwell[0];
  const words = first ? `${first.name}: ${plain(first.summary)}` : `${tally(probes).ok} probes ok`;
  const figures = [
    `time=${seconds(durationMs)}s`,
    ...(['ok', 'warning', 'critical', 'unknown'] as const).map((name) => `${name}=${tally(probes)[name]}`),
  ];
  const lines = unwell.map((probe) => `${probe.status.toUpperCase()} ${probe.name}: ${plain(probe.summary)}`);
  return [`DBKIT ${status.toUpperCase()} - ${words} | ${figures.join(' ')}`, ...lines].join('\n');
}

/** JUnit's XML, as CI servers read it. */
function junit({ at, durationMs, probes }: HealthReport, { strict }: FormatOptions): string {
  const cases = probes.map((probe) => {
    const told = [probe.summary, ...(probe.hint === null ? [] : [probe.hint])].join('\n');
    const inside = {
      ok: `<system-out>${xml(told)}</system-out>`,
      warning: strict ? failure(probe, told) : `<system-out>warning: ${xml(told)}</system-out>`,
      critical: failure(probe, told),
      unknown: `<error message="${xml(probe.summary)}" type="unknown">${xml(told)}</error>`,
      skipped: `<skipped message="${xml(probe.summary)}"/>`,
    }[probe.status];
    return `    <testcase classname="dbkit.${xml(probe.service)}" name="${xml(probe.name)}" time="${seconds(probe.durationMs)}">${inside}</testcase>`;
  });
  const counts = tally(probes);
  const totals = `tests="${probes.length}" failures="${counts.critical + (strict ? counts.warning : 0)}" errors="${counts.unknown}" skipped="${counts.skipped}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite name="dbkit health" ${totals} time="${seconds(durationMs)}" timestamp="${at.slice(0, 19)}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
  ].join('\n');
}

const failure = ({ status, summary }: ProbeReport, told: string): string =>
  `<failure message="${xml(summary)}" type="${status}">${xml(told)}</failure>`;

/** How many probes have which status. */
export function tally(probes: readonly ProbeReport[]): Record<ProbeReport['status'], number> {
  const counts = { ok: 0, warning: 0, critical: 0, unknown: 0, skipped: 0 };
  for (const { status } of probes) counts[status] += 1;
  return counts;
}

const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(3);

/** Escaped for text and attributes; characters that XML cannot hold at all are replaced. */
const xml = (text: string): string =>
  text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

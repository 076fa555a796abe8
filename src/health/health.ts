import type { Levels } from '../config/health-settings.ts';
import type { ProbeName } from '../config/probe-names.ts';
import type { AnyFacts, ProbeFacts } from './facts.ts';
import type { ProbeResult, ProbeStatus } from './probe.ts';

/** The verdict of a whole check. */
export type HealthStatus = Exclude<ProbeStatus, 'skipped'>;

/** One probe's answer as the report shows it. */
export interface ProbeReport {
  readonly service: string;
  readonly name: string;
  readonly title: string;
  readonly status: ProbeStatus;
  /** One sentence, for people. */
  readonly summary: string;
  /** The next command or setting; null when nothing is wrong. */
  readonly hint: string | null;
  /** Figures, for machines; `factsOf` reads them. */
  readonly data: AnyFacts | null;
  readonly durationMs: number;
}

export interface HealthReport {
  readonly status: HealthStatus;
  readonly at: string;
  readonly durationMs: number;
  readonly probes: readonly ProbeReport[];
}

/** Nagios' four statuses (Monitoring Plugins Development Guidelines, "Plugin Return Codes"), which monitoring tools know by heart. */
export const healthExit = { ok: 0, warning: 1, critical: 2, unknown: 3 } as const satisfies Record<HealthStatus, number>;

const severity: readonly HealthStatus[] = ['critical', 'unknown', 'warning', 'ok'];

/** The worst of what was asked. What was skipped does not count; where nothing was asked nothing is known. */
export function worstOf(statuses: readonly ProbeStatus[]): HealthStatus {
  return severity.find((status) => statuses.includes(status)) ?? 'unknown';
}

/** 0 ok, or warnings that are let pass; 1 warnings with `strict`; 2 critical; 3 unknown. */
export function exitOf(status: HealthStatus, { strict }: { strict: boolean }): number {
  return status === 'warning' && !strict ? 0 : healthExit[status];
}

/** Where a figure stands: a level that is reached counts. */
export function judge(value: number, { warning, critical }: Levels): 'ok' | 'warning' | 'critical' {
  return value >= critical ? 'critical' : value >= warning ? 'warning' : 'ok';
}

/** A probe that could not ask, and why; not a failure. */
export const skipped = (summary: string): ProbeResult<never> => ({ status: 'skipped', summary });

/** A report of one of dbkit's own probes, with the facts of that probe. */
export type ReportOf<Name extends ProbeName> = ProbeReport & { readonly name: Name; readonly data: ProbeFacts[Name] | null };

/** No question of a user's bears such a name (config/health-settings.ts), so the name tells what the facts are. */
export const isOf =
  <Name extends ProbeName>(name: Name) =>
  (report: ProbeReport): report is ReportOf<Name> =>
    report.name === name;

/** The figures of that probe; undefined where it was not asked, or measured nothing. */
export const factsOf = <Name extends ProbeName>(probes: readonly ProbeReport[], name: Name): ProbeFacts[Name] | undefined =>
  probes.find(isOf(name))?.data ?? undefined;

/** No server is running at all: nobody started it, or it was stopped. One that hangs or starts is not down. */
export const isDown = ({ probes }: HealthReport): boolean =>
  probes.some((probe) => isOf('connection')(probe) && probe.status === 'critical' && probe.data?.why === 'silent');

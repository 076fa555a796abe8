import type { ProbeName } from '../config/probe-names.ts';
import type { AnyFacts, ProbeFacts } from './facts.ts';

/** 'skipped': the question does not arise, or this user may not ask it; the summary says which. It does not count. */
export type ProbeStatus = 'ok' | 'warning' | 'critical' | 'unknown' | 'skipped';

export interface ProbeResult<Facts = AnyFacts> {
  readonly status: ProbeStatus;
  /** One sentence without a full stop: what was seen, with figures. */
  readonly summary: string;
  /** One sentence that says what to try next. */
  readonly hint?: string | undefined;
  readonly data?: Facts | undefined;
}

/** One health question. `check` may be called any number of times; a rejection counts as unknown. */
export interface Probe<Facts = AnyFacts> {
  readonly name: string;
  /** The subject, in a few words; default: its name. */
  readonly title?: string;
  /** When whoever asks gives up; default: twice `health.timeoutSeconds`, for a session and a question. */
  readonly timeoutMs?: number;
  check(signal: AbortSignal): Promise<ProbeResult<Facts>>;
}

/** One of dbkit's own, whose facts its name tells. */
export type ProbeOf<Name extends ProbeName> = Probe<ProbeFacts[Name]> & { readonly name: Name };
export type ResultOf<Name extends ProbeName> = ProbeResult<ProbeFacts[Name]>;

/** Something with health questions of its own: a service. */
export interface Probed {
  readonly name: string;
  /** Loaded when they are asked for where there are many: a start asks none. */
  readonly probes: readonly Probe[] | (() => Promise<readonly Probe[]>);
}

export const probesOf = async ({ probes }: Pick<Probed, 'probes'>): Promise<readonly Probe[]> =>
  typeof probes === 'function' ? probes() : probes;

/** The names of every probe there is. */
export const probeNames = async (services: readonly Pick<Probed, 'probes'>[]): Promise<ReadonlySet<string>> =>
  new Set((await Promise.all(services.map(probesOf))).flat().map(({ name }) => name));

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
  readonly probes: readonly Probe[];
}

import type { StampedAlert } from '../alerts/alert.ts';
import type { ProbeName } from '../config/probe-names.ts';

/** An alert that may be the first word of an incident: by its topic, and of the topic 'health' by its probe. */
export interface Teller {
  readonly topic: string;
  /** Absent: whichever. An alert that names no probe, as of earlier versions, may be of any. */
  readonly probes?: readonly ProbeName[];
}

/** A server that does not serve, and a leader that is gone. */
export const serverIsDown: readonly Teller[] = [
  { topic: 'recovery' },
  { topic: 'role' },
  { topic: 'health', probes: ['service', 'connection', 'authentication', 'latency', 'write', 'data-directory'] },
];

/** Pure. */
export const tells =
  (tellers: readonly Teller[]) =>
  ({ topic, probe }: Pick<StampedAlert, 'topic' | 'probe'>): boolean =>
    tellers.some(
      (one) => one.topic === topic && (one.probes === undefined || probe === undefined || one.probes.some((name) => name === probe)),
    );

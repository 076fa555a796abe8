import type { RefusalKind } from '../health/facts.ts';
import { type HealthReport, isOf, type ProbeReport } from '../health/health.ts';
import type { Row } from '../kernel/reasons.ts';

/** The meaning of one check for the server as a whole. */
export interface Seen {
  readonly verdict: Verdict;
  /** The row of `verdicts` that says so; null when all is well. */
  readonly reason: VerdictId | null;
  /** The first probe that says so; null when all is well. */
  readonly probe: ProbeReport | null;
}
export type Verdict = 'well' | 'unwell' | 'waiting' | 'failed';

const connection = isOf('connection');
const service = isOf('service');
const isCritical = ({ status }: ProbeReport): boolean => status === 'critical';
/** A server that cannot be asked for one of these reasons. */
const refuses =
  (...kinds: readonly RefusalKind[]) =>
  (probe: ProbeReport): boolean =>
    connection(probe) && isCritical(probe) && probe.data?.why !== undefined && kinds.includes(probe.data.why);

/**
 * First match wins, over the critical and unknown probes in their order. Only what a recovery can mend counts as failed: a slow night, a full
 * disk, a lost password or too many clients are for a person, and a server that starts or replays its WAL is left to it.
 */
export const verdicts = [
  { id: 'starting', when: refuses('starting'), then: 'waiting', words: 'it starts, stops or replays its WAL' },
  {
    id: 'process-starting',
    when: (probe) => service(probe) && isCritical(probe) && (probe.data?.state === 'starting' || probe.data?.state === 'stopping'),
    then: 'waiting',
    words: 'its process starts or stops',
  },
  { id: 'connections-full', when: refuses('full'), then: 'unwell', words: 'its clients hold every connection' },
  { id: 'volume-read-only', when: refuses('read-only'), then: 'unwell', words: 'its volume is read-only' },
  {
    id: 'superuser-refused',
    when: refuses('not-let-in', 'no-database', 'other'),
    then: 'unwell',
    words: 'it answers, and does not let its superuser in',
  },
  {
    id: 'server-failed',
    when: (probe) => isCritical(probe) && (connection(probe) || service(probe) || isOf('data-directory')(probe)),
    then: 'failed',
    words: 'it is down, hung or damaged',
  },
  { id: 'beyond-recovery', when: isCritical, then: 'unwell', words: 'a recovery would not mend it' },
  {
    id: 'not-known',
    when: ({ status }) => status === 'unknown',
    then: 'unwell',
    words: 'the check itself failed, which says nothing about the server',
  },
] as const satisfies readonly Row<ProbeReport, Exclude<Verdict, 'well'>>[];
export type VerdictId = (typeof verdicts)[number]['id'];

/** The verdict of a whole check. Waiting outweighs failed: the same crash shows in several probes. */
export function judgeCheck({ probes }: Pick<HealthReport, 'probes'>): Seen {
  const judged = probes.flatMap((probe) => {
    const row = verdicts.find(({ when }) => when(probe));
    return row ? [{ verdict: row.then, reason: row.id, probe }] : [];
  });
  for (const verdict of ['waiting', 'failed', 'unwell'] as const) {
    const first = judged.find((one) => one.verdict === verdict);
    if (first) return first;
  }
  return { verdict: 'well', reason: null, probe: null };
}

import { decide, fill, type Row } from '../kernel/reasons.ts';
import { type RunbookFacts, told } from './facts.ts';

/** The words for people who wait: first match wins, the worst first. */
export const impactRows = [
  {
    id: 'impact-two-writers',
    when: ({ writers }) => writers.length > 1,
    then: 'critical',
    words: '{writers} accept writes at the same time; what is written now may have to be merged by hand',
  },
  {
    id: 'impact-no-writes',
    when: ({ hasCluster, writers }) => hasCluster && writers.length === 0,
    then: 'critical',
    words: 'nothing can be written: no member of the cluster accepts writes',
  },
  {
    id: 'impact-clients-wait',
    when: ({ poolerWaits }) => poolerWaits,
    then: 'critical',
    words: 'clients of PgBouncer wait, and see no error yet',
  },
  {
    id: 'impact-no-redundancy',
    when: ({ hasCluster, streaming }) => hasCluster && streaming.length === 0,
    then: 'warning',
    words: 'reads and writes work; no replica streams, so one more failure stops the service',
  },
  {
    id: 'impact-server-down',
    when: ({ hasCluster, answers }) => !hasCluster && !answers,
    then: 'critical',
    words: 'nothing can be read or written: the server does not answer',
  },
  {
    id: 'impact-damaged',
    when: ({ damage }) => damage.length > 0,
    then: 'critical',
    words: 'the server answers; some data is damaged and may not be readable',
  },
  {
    id: 'impact-volume-full',
    when: ({ isVolumeFull }) => isVolumeFull,
    then: 'critical',
    words: 'the server answers; writes stop when the volume of {volume} has no room left ({freeBytes} free)',
  },
  {
    id: 'impact-fewer-replicas',
    when: ({ hasCluster, replica, laggards }) => hasCluster && (replica !== null || laggards.length > 0),
    then: 'warning',
    words: 'reads and writes work; fewer replicas can take over than there should be',
  },
  { id: 'impact-none', when: () => true, then: 'ok', words: 'reads and writes work' },
] as const satisfies readonly Row<RunbookFacts, 'critical' | 'warning' | 'ok'>[];

export interface Impact {
  readonly id: (typeof impactRows)[number]['id'];
  readonly severity: 'critical' | 'warning' | 'ok';
  readonly words: string;
}

/** Pure. */
export function impactOf(facts: RunbookFacts): Impact {
  const { id, then, words } = decide(impactRows, facts);
  return { id, severity: then, words: fill(words, told(facts)) };
}

import { decide } from '../../kernel/reasons.ts';
import type { Decision } from '../../recovery/ladder-facts.ts';

/** A member's data before Patroni is started on it. */
export interface AdmissionFacts {
  /** The ladder's decision, were it not a member's data; nothing is done. */
  readonly decision: Decision;
  readonly isEmpty: boolean;
  /** The name of another member that holds the lock, as that member says; null: nobody is known to. */
  readonly leader: string | null;
}

interface AdmissionRow {
  readonly id: string;
  readonly when: (facts: AdmissionFacts) => boolean;
  readonly then: 'start' | 'set-aside' | 'hold';
  readonly words: string;
}

const needsOtherBytes = (decision: Decision): boolean => decision === 'restore' || decision === 'reinitialize';

/** First match wins. Only damage that is proven keeps Patroni from its data: whatever is less it sees to itself. */
const rows = [
  {
    id: 'member-empty',
    when: ({ isEmpty }) => isEmpty,
    then: 'start',
    words: 'there is no data yet: Patroni copies it, or begins a new cluster',
  },
  {
    id: 'member-damaged',
    when: ({ decision, leader }) => needsOtherBytes(decision) && leader !== null,
    then: 'set-aside',
    words: 'its data is damaged and {leader} leads: it is set aside, and copied again',
  },
  {
    id: 'member-damaged-and-nobody-leads',
    when: ({ decision }) => needsOtherBytes(decision),
    then: 'hold',
    words: 'its data is damaged and no other member leads, so it may be all that is left',
  },
  {
    id: 'member-refused',
    when: ({ decision }) => decision === 'refuse',
    then: 'hold',
    words: 'a server may not be started on this data',
  },
  { id: 'member-fit', when: () => true, then: 'start', words: 'nothing speaks against a start' },
] as const satisfies readonly AdmissionRow[];

export type AdmissionReason = (typeof rows)[number]['id'];
export const admissionRows: readonly (AdmissionRow & { readonly id: AdmissionReason })[] = rows;

export const admit = (facts: AdmissionFacts): AdmissionRow & { readonly id: AdmissionReason } => decide(admissionRows, facts);

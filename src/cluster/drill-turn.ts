import type { Carrier, Turn } from '../backups/carrier.ts';
import { decide, fill, type Row } from '../kernel/reasons.ts';
import type { carrierRows } from './carrier-rows.ts';

/** The turn of a scheduled restore drill. */
export interface DrillTurn {
  readonly isHere: boolean;
  /** The member that rehearses; null: none does, or there is no cluster. */
  readonly member: string | null;
  readonly reason: string;
  readonly because: string;
}

export interface DrillTurnFacts {
  /** Of the base backup; null: there is no cluster. */
  readonly turn: Turn | null;
  /** Of that turn, in words. */
  readonly because: string;
}

const UNKNOWN: (typeof carrierRows)[number]['id'] = 'carrier-unknown';

/** First match wins. Whoever takes the backups has the newest one at hand, and spares the leader where a replica may do it. */
export const drillTurnRows = [
  { id: 'drill-no-cluster', when: ({ turn }) => turn === null, then: 'here', words: 'this server is in no cluster' },
  {
    id: 'drill-nobody-leads',
    when: ({ turn }) => turn?.reason === UNKNOWN,
    then: 'nowhere',
    words: 'nobody is known to lead and to answer: a drill can wait, and would burden those who are left',
  },
  {
    id: 'drill-carrier',
    when: ({ turn }) => turn?.isHere === true,
    then: 'here',
    words: 'a drill runs where the backups are taken: {because}',
  },
  {
    id: 'drill-elsewhere',
    when: () => true,
    then: 'elsewhere',
    words: 'a drill runs where the backups are taken: {because}',
  },
] as const satisfies readonly Row<DrillTurnFacts, 'here' | 'elsewhere' | 'nowhere'>[];

/** Pure. */
export const decideDrillTurn = (facts: DrillTurnFacts): (typeof drillTurnRows)[number] => decide(drillTurnRows, facts);

/** Every member has the same schedule, and one of them rehearses. Never rejects but for the signal. */
export async function drillTurn({ carrier }: { readonly carrier: Carrier }, signal: AbortSignal): Promise<DrillTurn> {
  const turn = await carrier.turn(signal);
  const facts = { turn, because: turn?.because ?? '' };
  const { id, then, words } = decideDrillTurn(facts);
  return { isHere: then === 'here', member: then === 'nowhere' ? null : (turn?.member ?? null), reason: id, because: fill(words, facts) };
}

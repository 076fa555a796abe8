/** The turn of one member, where all members of a cluster would take the same base backup. */
export interface Turn {
  /** The member that takes it, by its name in ha.members; null: this machine, which is none that is known. */
  readonly member: string | null;
  readonly isHere: boolean;
  /** The row of the table (`dbkit explain`). */
  readonly reason: string;
  readonly because: string;
}

/** The members of a Patroni cluster, of which one takes the base backups; the noun `cluster` asks them. */
export interface Carrier {
  /** null: there is no cluster. Four seconds at most. Never rejects but for the signal: where nobody can tell, it is this machine's turn. */
  turn(signal: AbortSignal): Promise<Turn | null>;
}

/** There is none: ha.members names nobody. */
export const noCarrier: Carrier = { turn: async () => null };

import type { Connection } from '../../instance/connection.ts';

/** How far the running server had come at the moment that is taken for the disaster's. */
export interface Reached {
  readonly at: Date;
  /** The first number that no transaction had been given. */
  readonly nextXid: bigint;
}

export async function nextXidOf(session: Connection): Promise<bigint> {
  const [row] = await session.query<{ next: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next');
  return BigInt(row!.next);
}

export interface LossFacts {
  /** Undefined where the server could not be asked. */
  readonly reached: Reached | undefined;
  /** In the copy that came back. */
  readonly nextXid: bigint;
  /** The last commit that came back, in microseconds since 1970; null: none was in the WAL that was read. */
  readonly lastCommitMicros: bigint | null;
  /** By which the archive was behind at that moment; null: not known. */
  readonly lagSeconds: number | null;
}

export interface Loss {
  readonly transactions: number | null;
  readonly seconds: number | null;
}

/** Only transactions that have written get a number: where none is missing, nothing is lost, however old the last commit is. Pure. */
export function lossOf({ reached, nextXid, lastCommitMicros, lagSeconds }: LossFacts): Loss {
  if (reached === undefined) return { transactions: null, seconds: null };
  const missing = reached.nextXid > nextXid ? Number(reached.nextXid - nextXid) : 0;
  const behind = lagSeconds ?? 0;
  if (missing === 0) return { transactions: 0, seconds: behind };
  if (lastCommitMicros === null) return { transactions: missing, seconds: null };
  const since = (reached.at.getTime() - Number(lastCommitMicros / 1000n)) / 1000;
  return { transactions: missing, seconds: Math.max(0, since, behind) };
}

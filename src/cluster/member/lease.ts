import type { PatroniView } from '../answers.ts';

/** One answer of a member's own Patroni. */
export interface Heard {
  readonly view: Pick<PatroniView, 'dcsSeenAt' | 'isPrimary' | 'isPaused' | 'isFailsafe' | 'state'>;
  /** When it was sent, by the clock that `dcsSeenAt` is of. */
  readonly sentAt: Date | null;
}

/** When the lease was last known to be renewed. */
export interface Lease {
  readonly seenAt: number | undefined;
  readonly provenMs: number;
}

/** Both times are whole seconds. */
const ROUNDING_MS = 1_000;

/**
 * A proof is dated as early as it can be: a time of the store that has changed was written after the look before this one, no earlier; the
 * first one says itself how old it is.
 */
export function renewed(
  lease: Lease,
  { view, sentAt }: Heard,
  { nowMs, previousMs }: { readonly nowMs: number; readonly previousMs: number },
): Lease {
  const seenAt = view.dcsSeenAt?.getTime();
  if (!seenAt || seenAt === lease.seenAt) return lease; // 0: it has not seen the store since it was started.
  if (lease.seenAt !== undefined) return { seenAt, provenMs: Math.max(lease.provenMs, previousMs) };
  if (sentAt === null) return { ...lease, seenAt };
  const ageMs = Math.max(0, sentAt.getTime() - seenAt) + ROUNDING_MS;
  return { seenAt, provenMs: Math.max(lease.provenMs, nowMs - ageMs) };
}

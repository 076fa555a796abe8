import type { ProbeFacts } from '../health/facts.ts';
import { factsOf, type HealthReport } from '../health/health.ts';

/** The moments, copies and rehearsals that a restore could count on now, as the last check saw them. */
export interface Comeback {
  /** Moments, by the WAL archive: from the oldest base backup behind the last gap that was noticed, as far as WAL is kept; null: only backups. */
  readonly moments: { readonly fromAt: string; readonly untilAt: string | null } | null;
  /** The copies elsewhere. */
  readonly copies: ProbeFacts['copies'];
  /** The last restore that was rehearsed: seconds it took, the tier's limit, seconds since; null where none was. */
  readonly drill: { readonly seconds: number; readonly limitSeconds: number | null; readonly agoSeconds: number | null } | null;
}

/** Pure: nothing is read for it. */
export function comebackOf({ at, probes }: Pick<HealthReport, 'at' | 'probes'>): Comeback {
  const archive = factsOf(probes, 'wal-archive');
  const backups = factsOf(probes, 'backups');
  const lagSeconds = archive?.lagBytes === 0 ? 0 : (archive?.lagSeconds ?? null);
  return {
    moments: archive?.fromAt
      ? { fromAt: archive.fromAt, untilAt: lagSeconds === null ? null : new Date(Date.parse(at) - lagSeconds * 1000).toISOString() }
      : null,
    copies: factsOf(probes, 'copies') ?? [],
    drill:
      backups?.restoreSeconds == null
        ? null
        : { seconds: backups.restoreSeconds, limitSeconds: backups.rtoSeconds ?? null, agoSeconds: backups.proofAgeSeconds ?? null },
  };
}

import type { ProbeFacts } from '../health/facts.ts';
import { factsOf, type HealthReport, isOf } from '../health/health.ts';

/** The backups, WAL, copies and rehearsals that a restore could count on now, as far as the last check tells. */
export interface Comeback {
  /** The base backups behind the last gap that was noticed, and how far WAL is kept behind them; else why the check does not tell. */
  readonly wal: { readonly fromAt: string; readonly untilAt: string | null } | { readonly unknown: string };
  /** The copies elsewhere, none where none is configured; null: the check does not tell. */
  readonly copies: ProbeFacts['copies'] | null;
  /** The last restore that was rehearsed: seconds it took, the tier's limit, seconds since; null: none was; undefined: the check does not tell. */
  readonly drill: { readonly seconds: number; readonly limitSeconds: number | null; readonly agoSeconds: number | null } | null | undefined;
}

/** Pure: nothing is read for it. A probe that was not asked, or could not look, says nothing of what is there. */
export function comebackOf({ at, probes }: Pick<HealthReport, 'at' | 'probes'>): Comeback {
  const archive = factsOf(probes, 'wal-archive');
  const backups = factsOf(probes, 'backups');
  const lagSeconds = archive?.lagBytes === 0 ? 0 : (archive?.lagSeconds ?? null);
  return {
    wal: archive?.fromAt
      ? { fromAt: archive.fromAt, untilAt: lagSeconds === null ? null : new Date(Date.parse(at) - lagSeconds * 1000).toISOString() }
      : { unknown: probes.find(isOf('wal-archive'))?.summary ?? 'the check did not ask' },
    copies: probes.some(isOf('copies')) ? (factsOf(probes, 'copies') ?? null) : [],
    drill: backups && drillOf(backups),
  };
}

const drillOf = ({ restoreSeconds, rtoSeconds, proofAgeSeconds }: ProbeFacts['backups']): Comeback['drill'] =>
  restoreSeconds == null ? null : { seconds: restoreSeconds, limitSeconds: rtoSeconds ?? null, agoSeconds: proofAgeSeconds ?? null };

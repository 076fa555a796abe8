import { type Judged, judgedBy, type Tier, tiers } from '../config/tiers.ts';
import type { RecoveryHistory } from './history-contract.ts';
import { showRecovery } from './list-history.ts';
import { howMuch, type Loss } from './losses.ts';
import type { RecoveryReport } from './report.ts';

/** One recovery as it is told to others: JSON of `dbkit recover report`; fields are only ever added. */
export interface IncidentReport {
  /** Its number in `recover history`. */
  readonly number: number;
  readonly startedAt: string;
  /** When the server answered again; null where it has not since. */
  readonly endedAt: string | null;
  readonly tier: Tier | null;
  /** From the first look at the data until the server answered. */
  readonly rto: Judged;
  /** The span of time whose rows are gone; 0 where it is proven that none are. */
  readonly rpo: Judged;
  readonly lost: 'nothing' | 'unknown' | 'something';
  readonly recovery: RecoveryReport;
}

/** Rejects with `usage.invalid` when there is no recovery of that number. */
export async function reportIncident(
  app: { readonly history: RecoveryHistory; readonly config: { readonly tier?: Tier | undefined } },
  number: number,
): Promise<IncidentReport> {
  return incidentOf(await showRecovery(app, number), number, app.config.tier);
}

/** Pure. */
export function incidentOf(recovery: RecoveryReport, number: number, tier: Tier | undefined): IncidentReport {
  const startedMs = Date.parse(recovery.at) - recovery.durationMs;
  const { readyAt } = recovery;
  const target = tier === undefined ? undefined : tiers[tier];
  return {
    number,
    startedAt: new Date(startedMs).toISOString(),
    endedAt: readyAt ?? null,
    tier: tier ?? null,
    rto: judgedBy(readyAt === undefined ? null : (Date.parse(readyAt) - startedMs) / 1000, target?.rtoSeconds ?? null),
    rpo: judgedBy(lostSeconds(recovery), target?.rpoSeconds ?? null),
    lost: howMuch(recovery.losses),
    recovery,
  };
}

/** The longest span; null where the end of one is not known, or what is lost is no span of time. */
function lostSeconds({ losses, at }: RecoveryReport): number | null {
  const spans = losses.map((loss) => spanOf(loss, at));
  return spans.includes(null) ? null : Math.max(0, ...spans.map((span) => span ?? 0));
}

function spanOf(loss: Loss, recoveredAt: string): number | null {
  if (loss.kind === 'nothing') return 0;
  if (loss.kind === 'since-backup') return Math.max(0, (Date.parse(recoveredAt) - Date.parse(loss.at)) / 1000);
  if (loss.kind !== 'window' || loss.after === null || loss.upTo === null) return null;
  return Math.max(0, (Date.parse(loss.upTo) - Date.parse(loss.after)) / 1000);
}

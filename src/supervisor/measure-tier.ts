import { type Backup, isGood } from '../backups/backup.ts';
import { rehearsedSeconds } from '../backups/drill.ts';
import type { Config } from '../config/config.ts';
import { type Judged, judgedBy, type Tier, tiers } from '../config/tiers.ts';
import type { WalStatus } from '../wal/status.ts';

/** The loss that there would be now, and how long a restore took when it was rehearsed last, beside what the tier allows. */
export interface MeasuredTier {
  readonly tier: Tier;
  /** The time by which the archive is behind, or, where no WAL is kept, since the newest good backup. */
  readonly rpo: Judged;
  readonly rto: Judged;
}

export interface MeasureFacts {
  readonly backups: readonly Pick<Backup, 'createdAt' | 'state' | 'knownDamage' | 'provenAt' | 'restoreMs'>[];
  /** Null: no WAL is kept. */
  readonly archive: Pick<WalStatus, 'lag' | 'state'> | null;
  readonly nowMs: number;
}

/** Null where no tier is set. Pure. */
export function measureTier({ tier }: Pick<Config, 'tier'>, { backups, archive, nowMs }: MeasureFacts): MeasuredTier | null {
  if (tier === undefined) return null;
  const { rpoSeconds, rtoSeconds } = tiers[tier];
  const good = backups.filter(isGood).map(({ createdAt }) => Date.parse(createdAt));
  const sinceBackup = good.length === 0 ? null : Math.max(0, (nowMs - Math.max(...good)) / 1000);
  const isKept = archive !== null && archive.state !== null && archive.state !== 'stopped';
  return {
    tier,
    rpo: judgedBy(isKept ? (archive.lag?.seconds ?? null) : sinceBackup, rpoSeconds),
    rto: judgedBy(rehearsedSeconds(backups), rtoSeconds),
  };
}

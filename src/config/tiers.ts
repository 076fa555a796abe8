/** How much may be lost and how long it may take, by the importance of the data. */
export const tiers = {
  critical: { rpoSeconds: 60, rtoSeconds: 300, backupSchedule: '0 2,8,14,20 * * *', keptDays: 30 },
  high: { rpoSeconds: 300, rtoSeconds: 900, backupSchedule: '0 2,14 * * *', keptDays: 30 },
  standard: { rpoSeconds: 900, rtoSeconds: 1_800, backupSchedule: '0 2 * * *', keptDays: 7 },
  archive: { rpoSeconds: 3_600, rtoSeconds: 7_200, backupSchedule: '0 2 * * *', keptDays: 7 },
} as const satisfies Readonly<Record<string, TierTargets>>;
export type Tier = keyof typeof tiers;

interface TierTargets {
  readonly rpoSeconds: number;
  readonly rtoSeconds: number;
  /** When base backups are taken, in UTC: the more often, the less WAL a restore replays. */
  readonly backupSchedule: string;
  /** So many days keep their last good backup. */
  readonly keptDays: number;
}

/** A figure beside what the tier allows; null where one of them is not known. */
export interface Judged {
  readonly seconds: number | null;
  readonly targetSeconds: number | null;
  readonly met: boolean | null;
}

export const judgedBy = (seconds: number | null, targetSeconds: number | null): Judged => ({
  seconds,
  targetSeconds,
  met: seconds === null || targetSeconds === null ? null : seconds <= targetSeconds,
});

/** Seconds that the archive may be behind: never more than the tier may lose. Pure. */
export function levelsWithin(
  levels: { readonly warning: number; readonly critical: number },
  tier: Tier | undefined,
): { readonly warning: number; readonly critical: number } {
  if (tier === undefined) return levels;
  const { rpoSeconds } = tiers[tier];
  return { warning: Math.min(levels.warning, rpoSeconds / 2), critical: Math.min(levels.critical, rpoSeconds) };
}

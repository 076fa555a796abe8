/** How much may be lost and how long it may take, by the importance of the data. */
export const tiers = {
  critical: { rpoSeconds: 60, rtoSeconds: 300 },
  high: { rpoSeconds: 300, rtoSeconds: 900 },
  standard: { rpoSeconds: 900, rtoSeconds: 1_800 },
  archive: { rpoSeconds: 3_600, rtoSeconds: 7_200 },
} as const satisfies Readonly<Record<string, { readonly rpoSeconds: number; readonly rtoSeconds: number }>>;
export type Tier = keyof typeof tiers;

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

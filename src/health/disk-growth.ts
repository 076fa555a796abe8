/** How full a volume was at a moment. */
export interface DiskSample {
  readonly atMs: number;
  readonly usedBytes: number;
}

const SPACING_MS = 5 * 60_000;
const SPAN_MS = 24 * 3_600_000;
const SPAN_MIN_MS = 30 * 60_000;

/** The samples with one more, when the last is five minutes old; a day of them at most. A clock that was set back begins anew. */
export function remember(samples: readonly DiskSample[], now: DiskSample): readonly DiskSample[] {
  const sane = samples.filter(({ atMs }) => atMs <= now.atMs);
  const last = sane.at(-1);
  if (last !== undefined && now.atMs - last.atMs < SPACING_MS) return sane.length === samples.length ? samples : sane;
  return [...sane.filter(({ atMs }) => now.atMs - atMs < SPAN_MS), now];
}

/**
 * Seconds until `freeBytes` are used up, as the line of least squares through the samples has it; undefined when the volume does not grow, or
 * was watched for less than half an hour.
 */
export function secondsUntilFull(samples: readonly DiskSample[], freeBytes: number): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.atMs - first.atMs < SPAN_MIN_MS) return undefined;
  const meanAt = mean(samples.map(({ atMs }) => atMs));
  const meanUsed = mean(samples.map(({ usedBytes }) => usedBytes));
  const covariance = mean(samples.map(({ atMs, usedBytes }) => (atMs - meanAt) * (usedBytes - meanUsed)));
  const variance = mean(samples.map(({ atMs }) => (atMs - meanAt) ** 2));
  const bytesPerMs = covariance / variance;
  return bytesPerMs > 0 ? freeBytes / bytesPerMs / 1000 : undefined;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

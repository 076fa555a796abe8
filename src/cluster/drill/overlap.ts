/** A time during which one server is known to have taken writes: between two of its own answers. */
export interface Interval {
  readonly fromMs: number;
  toMs: number;
}

/** For how long at least two servers took writes at the same time, in milliseconds: proven by answers on both ends. */
export function overlapMs(servers: readonly (readonly Interval[])[]): number {
  const edges = servers
    .flatMap((intervals) => intervals.flatMap(({ fromMs, toMs }) => [[fromMs, 1] as const, [toMs, -1] as const]))
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]); // One that ends as another begins does not overlap with it.
  let writable = 0;
  let sinceMs = 0;
  let total = 0;
  for (const [atMs, change] of edges) {
    if (writable >= 2) total += atMs - sinceMs;
    writable += change;
    sinceMs = atMs;
  }
  return total;
}

/** The longest time without an acknowledgement from `fromMs` to `toMs`; `acksMs` in their order. */
export function longestGapMs(acksMs: readonly number[], fromMs: number, toMs: number): number {
  let before = fromMs;
  let longest = 0;
  for (const atMs of acksMs) {
    if (atMs <= fromMs) continue;
    longest = Math.max(longest, Math.min(atMs, toMs) - before);
    before = atMs;
    if (atMs >= toMs) return longest;
  }
  return Math.max(longest, toMs - before);
}

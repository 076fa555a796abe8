/** mulberry32: the same kills on every machine and every day. */
export function random(seed: number): number {
  let t = (seed * 0x9e3779b9 + 0x6d2b79f5) | 0;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

/** Seeds: a few each day, many with `npm run test:fault -- --random`. */
export const rounds = ({ daily, random: many }: { readonly daily: number; readonly random: number }): readonly number[] =>
  Array.from({ length: process.env['DBKIT_TEST_RANDOM'] === '1' ? many : daily }, (_, index) => index + 1);

export { bytes } from '../core/figures.ts';

/** 93784 → '1 d 2 h'; the two largest units, as a person would say it. */
export function duration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [Math.floor(seconds) % 60, 's'],
  ] as const;
  const from = parts.findIndex(([amount]) => amount > 0);
  if (from < 0) return '0 s';
  return parts
    .slice(from, from + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

/** '2026-11-20T19:54:00.000Z' → '2026-11-20 19:54:00 UTC'. */
export const moment = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;

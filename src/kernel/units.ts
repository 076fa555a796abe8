/** '512kB', '50MB', '1.5GB', '2TB': PostgreSQL's own units. */
export const SIZE = /^\d+(\.\d+)?(kB|MB|GB|TB)$/;

/** '1GB' → 1073741824: powers of 1024 (guc.c). */
export function sizeBytes(text: string): number {
  const exponent = ['kB', 'MB', 'GB', 'TB'].indexOf(text.slice(-2)) + 1;
  return Number.parseFloat(text) * 1024 ** exponent;
}

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** '90s', '15m', '12h', '30d', '8w'. */
export const DURATION = /^\d+[smhdw]$/;

/** A text that matches DURATION as milliseconds. */
export const durationMs = (text: string): number => Number(text.slice(0, -1)) * unitMs[text.slice(-1) as keyof typeof unitMs];

/** 1536 → '1.5 KiB'. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let [rest, unit] = [value, 0];
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
}

/** (3, 'session') → '3 sessions'. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** 0.004 → '4 ms', 1.25 → '1.3 s', 400 → '6 min', 90_000 → '25 h': one unit, as exact as a sentence wants it. */
export function roughly(seconds: number): string {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

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

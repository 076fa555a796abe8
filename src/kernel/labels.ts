export type LabelKind = 'data' | 'dump' | 'corrupt' | 'replaced';

/** `corrupt_20261120_195400`: what it is and when it was made, in UTC (DESIGN.md section 2). */
export function makeLabel(kind: LabelKind, at: Date): string {
  const [date, time] = at.toISOString().replace(/[-:]/g, '').split('T');
  return `${kind}_${date}_${time!.slice(0, 6)}`;
}

/** The kind and the time a label names; undefined for anything dbkit did not name. */
export function parseLabel(name: string): { kind: LabelKind; at: Date } | undefined {
  const match = /^(data|dump|corrupt|replaced)_(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)$/.exec(name);
  if (!match) return undefined;
  const [, kind, year, month, day, hour, minute, second] = match;
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(at.getTime()) ? undefined : { kind: kind as LabelKind, at };
}

const SECOND_MS = 1_000;

/**
 * The moment that a new label names: now, or, where the clock has been set back behind the newest label there is, just after that. So labels sort
 * in the order in which they were made, whatever the clock says: the newest backup is never taken for the oldest, and expired.
 */
export function momentAfter(labels: readonly string[], now: Date): Date {
  const newestMs = Math.max(...labels.map((label) => parseLabel(label)?.at.getTime() ?? 0), 0);
  return now.getTime() >= newestMs + SECOND_MS ? now : new Date(newestMs + SECOND_MS);
}

/** The newest first, by what their labels say. */
export const newestFirst = (a: { readonly label: string }, b: { readonly label: string }): number => stampOf(b).localeCompare(stampOf(a));
const stampOf = ({ label }: { readonly label: string }): string => label.slice(label.indexOf('_') + 1);

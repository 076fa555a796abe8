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

import { join } from 'node:path';
import { type Lsn, parseSegmentName } from '../formats/wal-segment.ts';

/** Where the WAL of one server is kept; docs/REPOSITORY-FORMAT.md describes it. */
export const archiveDir = (repositoryDir: string, systemIdentifier: string): string => join(repositoryDir, 'wal', systemIdentifier);

/** The archive's own record, in that folder. */
export const RECORD = 'archive.json';

export const timelineFolder = (timeline: number): string => timeline.toString(16).toUpperCase().padStart(8, '0');

export const historyFile = (timeline: number): string => `${timelineFolder(timeline)}.history`;

/** The timeline of such a folder; undefined for any other name. */
export const timelineOfFolder = (name: string): number | undefined =>
  /^[0-9A-F]{8}$/.test(name) && name !== '00000000' ? Number.parseInt(name, 16) : undefined;

export const wholeFile = (name: string, sha16: string): string => `${name}-${sha16}.zst`;

export const tailFile = (name: string): string => `${name}.tail`;

/** The meaning of a file's name in a timeline's folder; undefined for what is no WAL. */
export function parseKept(file: string): { readonly name: string; readonly kind: 'whole' | 'tail'; readonly sha16?: string } | undefined {
  const whole = /^([0-9A-F]{24})-([0-9a-f]{16})\.(?:zst|plain)$/.exec(file); // Plain where a shell has kept it.
  if (whole) return { name: whole[1]!, kind: 'whole', sha16: whole[2]! };
  const tail = /^([0-9A-F]{24})\.tail$/.exec(file);
  return tail ? { name: tail[1]!, kind: 'tail' } : undefined;
}

/** Where a segment of that name begins. Undefined for any other name. */
export function startOf(name: string, segmentSizeBytes: number): { readonly timeline: number; readonly startLsn: Lsn } | undefined {
  const parsed = parseSegmentName(name, segmentSizeBytes);
  return parsed && { timeline: parsed.timeline, startLsn: parsed.segment * BigInt(segmentSizeBytes) };
}

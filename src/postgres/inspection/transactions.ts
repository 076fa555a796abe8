import type { Finding } from '../../core/findings.ts';
import type { ControlFile } from '../formats/control-file.ts';
import type { Walk } from './walk.ts';

const PAGES_PER_SEGMENT = 32; // SLRU_PAGES_PER_SEGMENT (src/include/access/slru.h)
const PAGE_BYTES = 8192;
const XIDS_PER_SEGMENT = PAGE_BYTES * 4 * PAGES_PER_SEGMENT; // Two bits each (clog.c).
const OFFSETS_PER_SEGMENT = (PAGE_BYTES / 4) * PAGES_PER_SEGMENT; // Four bytes each (multixact.c).
const MEMBERS_PER_SEGMENT = 1636 * PAGES_PER_SEGMENT; // MULTIXACT_MEMBERS_PER_PAGE
const COUNTERS = 2 ** 32; // Transaction and multixact numbers go round.

/**
 * Transaction status between the checkpoint's oldest and next transaction. A crashed server may have cut off the oldest segments after its
 * checkpoint, so before the first that is there nothing is certain. Any other one that is missing is: crash recovery would read it as zeroes,
 * silently, and every row whose status stood there would be gone (slru.c, SlruPhysicalReadPage).
 */
export function inspectTransactions({ entries }: Walk, control: ControlFile, clean: boolean): Finding[] {
  const nextXid = Number(control.nextXid % BigInt(COUNTERS));
  const runs = [
    segments('pg_xact', control.oldestXid, nextXid, XIDS_PER_SEGMENT),
    segments('pg_multixact/offsets', control.oldestMulti, control.nextMulti, OFFSETS_PER_SEGMENT),
    control.nextMultiOffset > 1
      ? segments('pg_multixact/members', control.nextMultiOffset - 1, control.nextMultiOffset, MEMBERS_PER_SEGMENT)
      : [],
  ];
  return runs.flatMap((needed) => {
    const firstThere = needed.findIndex((path) => entries.has(path));
    return needed.flatMap((path, index): Finding[] => {
      const entry = entries.get(path);
      if (entry && entry.sizeBytes > 0 && entry.sizeBytes % PAGE_BYTES === 0) return [];
      const evidence = entry ? `size ${entry.sizeBytes}, expected whole pages of ${PAGE_BYTES}` : 'the file is missing';
      const severity = clean || firstThere < 0 || index >= firstThere ? 'certain' : 'suspect';
      return [
        { code: 'slru.damaged', path, evidence, severity, postgresSays: `Could not open file "${path}": No such file or directory.` },
      ];
    });
  });
}

function segments(directory: string, oldest: number, next: number, perSegment: number): string[] {
  if (oldest === next) return [];
  const total = Math.floor(COUNTERS / perSegment);
  const last = Math.floor(((next - 1 + COUNTERS) % COUNTERS) / perSegment);
  const paths: string[] = [];
  for (let segment = Math.floor(oldest / perSegment); ; segment = (segment + 1) % (total + 1)) {
    paths.push(`${directory}/${segment.toString(16).toUpperCase().padStart(4, '0')}`);
    if (segment === last || paths.length > total + 1) return paths;
  }
}

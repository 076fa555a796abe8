import type { ControlFile } from '../formats/control-file.ts';
import type { Finding } from './findings.ts';
import type { Walk } from './walk.ts';

const PAGES_PER_SEGMENT = 32; // SLRU_PAGES_PER_SEGMENT (src/include/access/slru.h)
const PAGE_BYTES = 8192;
const XIDS_PER_PAGE = PAGE_BYTES * 4; // Two bits each (clog.c).
const OFFSETS_PER_PAGE = PAGE_BYTES / 4; // Four bytes each (multixact.c).
const MEMBERS_PER_PAGE = 1636; // MULTIXACT_MEMBERS_PER_PAGE
const MEMBERS_PER_GROUP = 4;
const FIRST_NORMAL_XID = 3;
const COUNTERS = 2 ** 32; // Transaction, multixact and member numbers go round.

interface Run {
  readonly directory: string;
  readonly perSegment: number;
  /** Numbers that rows may refer to: from `oldest` up to, not including, `next`. */
  readonly oldest: number;
  readonly next: number;
  /** The server reads the page of `next` before it accepts connections, to blank what follows (TrimCLOG, TrimMultiXact). */
  readonly trims: boolean;
}

/**
 * Transaction status between the checkpoint's oldest and next transaction. What the server reads before it starts must be there, in any case.
 * Of the rest: a crashed server may have cut off the oldest segments after its checkpoint, so before the first that is there nothing is
 * certain; any later one that is missing is, as crash recovery would read it as zeroes, silently, and every row whose status stood there would
 * be gone (slru.c, SlruPhysicalReadPage). After a clean shutdown nothing is replayed: the server says aloud when it misses one, and never does
 * where an administrator has set the counters ahead (pg_resetwal -x).
 */
export function inspectTransactions({ entries }: Walk, control: ControlFile, clean: boolean): Finding[] {
  return runsOf(control).flatMap((run) => {
    const needed = segments(run);
    const firstThere = needed.findIndex((path) => entries.has(path));
    return needed.flatMap((path, index): Finding[] => {
      const entry = entries.get(path);
      if (entry && entry.sizeBytes > 0 && entry.sizeBytes % PAGE_BYTES === 0) return [];
      const evidence = entry ? `size ${entry.sizeBytes}, expected whole pages of ${PAGE_BYTES}` : 'the file is missing';
      const stopsTheStart = run.trims && index === needed.length - 1;
      const isReplayed = !clean && index >= firstThere;
      const severity = stopsTheStart || firstThere < 0 || isReplayed || entry ? 'certain' : 'suspect';
      return [
        { code: 'slru.damaged', path, evidence, severity, postgresSays: `Could not open file "${path}": No such file or directory.` },
      ];
    });
  });
}

function runsOf({ nextXid, oldestXid, oldestMulti, nextMulti, nextMultiOffset }: ControlFile): Run[] {
  const next = Number(nextXid % BigInt(COUNTERS));
  const lastMember = previous(nextMultiOffset);
  const membersInUse = oldestMulti !== nextMulti && nextMultiOffset > 1;
  return [
    {
      directory: 'pg_xact',
      perSegment: XIDS_PER_PAGE * PAGES_PER_SEGMENT,
      oldest: oldestXid,
      next: next === FIRST_NORMAL_XID ? 0 : next, // Having gone round, the first page is made together with its first transaction (ExtendCLOG).
      trims: next % XIDS_PER_PAGE !== 0 && next !== FIRST_NORMAL_XID,
    },
    {
      directory: 'pg_multixact/offsets',
      perSegment: OFFSETS_PER_PAGE * PAGES_PER_SEGMENT,
      oldest: oldestMulti,
      next: nextMulti,
      trims: nextMulti % OFFSETS_PER_PAGE !== 0,
    },
    {
      directory: 'pg_multixact/members', // Where the oldest member stands is written in the offsets, not in pg_control.
      perSegment: MEMBERS_PER_PAGE * PAGES_PER_SEGMENT,
      oldest: membersInUse ? lastMember : nextMultiOffset,
      next: nextMultiOffset,
      trims: nextMultiOffset % MEMBERS_PER_PAGE >= MEMBERS_PER_GROUP,
    },
  ];
}

const previous = (counter: number): number => (counter + COUNTERS - 1) % COUNTERS;

/** Files from the segment of `oldest` to the last one needed, round the end of the numbers where they have gone round. */
function segments({ directory, perSegment, oldest, next, trims }: Run): string[] {
  if (oldest === next && !trims) return [];
  const count = Math.ceil(COUNTERS / perSegment); // The last one may be short: 2³² is no multiple of the members in a segment.
  const last = Math.floor((trims ? next : previous(next)) / perSegment);
  const paths: string[] = [];
  for (let segment = Math.floor(oldest / perSegment); paths.length < count; segment = (segment + 1) % count) {
    paths.push(`${directory}/${segment.toString(16).toUpperCase().padStart(4, '0')}`);
    if (segment === last) break;
  }
  return paths;
}

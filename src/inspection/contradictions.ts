import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { readWal } from '../formats/wal-reader.ts';
import {
  formatLsn,
  holdsSegment,
  LONG_HEADER_BYTES,
  type Lsn,
  parseSegmentName,
  readSegmentHeader,
  segmentOf,
} from '../formats/wal-segment.ts';
import { errnoOf } from '../kernel/errors.ts';
import type { Inventory } from './inventory.ts';
import type { Reached } from './reached.ts';
import { RELATION } from './relations.ts';
import type { Walk } from './walk.ts';

const FIRST_USER_OID = 16_384; // FirstNormalObjectId (src/include/access/transam.h)

/** What stands against a pg_control whose checksum is right, each from another witness. */
export interface Witnesses {
  readonly control: Pick<ControlFile, 'systemIdentifier' | 'state' | 'checkpointLsn' | 'nextOid'>;
  /** Whose WAL lies in pg_wal; empty where there is none, or where that was not worth asking. */
  readonly walOf: readonly string[];
  /** The segment of its checkpoint is there, and is this cluster's. */
  readonly hasItsWal: boolean;
  /** Records follow its shutdown checkpoint. */
  readonly walGoesOn: boolean;
  /** There are files of objects that a user made. */
  readonly hasUserFiles: boolean;
  /** A page bears a position behind its shutdown checkpoint; undefined where that was not worth asking. */
  readonly newerPage: string | undefined;
  /** What was noted of this directory, by whichever cluster. */
  readonly noted: { readonly systemIdentifier: string; readonly lsn: Lsn } | undefined;
}

/** 'anothers': another cluster's. 'outdated': this cluster's, of an earlier time. 'contradicted': only dbkit's own notes say so. */
export type Verdict = 'anothers' | 'outdated' | 'contradicted';

interface Row {
  readonly id: string;
  readonly when: (seen: Witnesses) => boolean;
  readonly then: Verdict;
  readonly words: (seen: Witnesses) => string;
}

const isShutDown = ({ control }: Witnesses): boolean => control.state === 'shut down';

/** First match wins: the data's own bytes before what dbkit noted. */
export const contradictions: readonly Row[] = [
  {
    id: 'wal-of-another-cluster',
    when: ({ walOf, control, noted }) =>
      walOf.length > 0 && !walOf.includes(control.systemIdentifier) && noted !== undefined && walOf.includes(noted.systemIdentifier),
    then: 'anothers',
    words: ({ walOf, control }) =>
      `it is another cluster’s: its system identifier is ${control.systemIdentifier}, that of the WAL ${walOf[0]}`,
  },
  {
    id: 'wal-goes-on',
    when: (seen) => isShutDown(seen) && seen.walGoesOn,
    then: 'outdated',
    words: ({ control }) => `it is older than the WAL, which goes on behind its shutdown checkpoint at ${formatLsn(control.checkpointLsn)}`,
  },
  {
    id: 'never-held-an-object',
    when: (seen) => isShutDown(seen) && !seen.hasItsWal && seen.control.nextOid <= FIRST_USER_OID && seen.hasUserFiles,
    then: 'anothers',
    words: () => 'it is of a cluster in which nobody has ever made an object, and here are files of such objects',
  },
  {
    id: 'newer-page',
    when: (seen) => isShutDown(seen) && seen.newerPage !== undefined,
    then: 'anothers',
    words: ({ control, newerPage }) => `it says that the server stopped at ${formatLsn(control.checkpointLsn)}, and ${newerPage}`,
  },
  {
    id: 'wal-of-nobody-known',
    when: ({ walOf, control, noted }) =>
      walOf.length > 0 && !walOf.includes(control.systemIdentifier) && noted?.systemIdentifier !== control.systemIdentifier,
    then: 'contradicted',
    words: ({ walOf, control }) =>
      `its system identifier is ${control.systemIdentifier}, that of the WAL ${walOf[0]}, and nothing tells which of the two is this cluster’s`,
  },
  {
    id: 'noted-of-another-cluster',
    when: ({ hasItsWal, noted, control }) => !hasItsWal && noted !== undefined && noted.systemIdentifier !== control.systemIdentifier,
    then: 'contradicted',
    words: ({ noted, control }) =>
      `its system identifier is ${control.systemIdentifier}, that of the cluster that ran here last ${noted!.systemIdentifier}, and there is no WAL that tells which is right`,
  },
  {
    id: 'noted-later',
    when: (seen) => isShutDown(seen) && !seen.hasItsWal && seen.noted !== undefined && seen.noted.lsn > seen.control.checkpointLsn,
    then: 'contradicted',
    words: ({ noted, control }) =>
      `it says that the server stopped at ${formatLsn(control.checkpointLsn)}, but its WAL had come to ${formatLsn(noted!.lsn)}, and that is gone`,
  },
];

/** What contradicts a pg_control that reads well; undefined where nothing does. The plain case costs one read of 64 KiB. */
export async function findContradiction(
  dataDir: string,
  seen: Walk,
  control: ControlFile,
  { reached, inventory }: { reached: Reached | undefined; inventory: Inventory | undefined },
  signal: AbortSignal,
): Promise<{ readonly verdict: Verdict; readonly words: string } | undefined> {
  const hasItsWal = walOwners(dataDir, seen, control, segmentOf(control.checkpointLsn, control.walSegmentSizeBytes)).includes(
    control.systemIdentifier,
  );
  const isShut = control.state === 'shut down';
  const recovers = ['backup_label', 'recovery.signal', 'standby.signal'].some((path) => seen.entries.has(path));
  const noted = reached ? { systemIdentifier: reached.systemIdentifier, lsn: reached.lastRecordLsn } : notedBy(inventory);
  const isBehind = noted !== undefined && noted.lsn > control.checkpointLsn;
  const witnesses: Witnesses = {
    control,
    walOf: hasItsWal ? [] : walOwners(dataDir, seen, control),
    hasItsWal,
    walGoesOn: isShut && hasItsWal && !recovers && (await goesOn(dataDir, control, signal)),
    hasUserFiles:
      !hasItsWal && [...seen.entries.keys()].some((path) => Number(/^base\/\d+\/(\d+)$/.exec(path)?.[1] ?? 0) >= FIRST_USER_OID),
    newerPage: isShut && !recovers && (!hasItsWal || isBehind) ? newerPage(dataDir, seen, control) : undefined,
    noted,
  };
  const row = contradictions.find(({ when }) => when(witnesses));
  return row && { verdict: row.then, words: row.words(witnesses) };
}

const notedBy = (inventory: Inventory | undefined): Witnesses['noted'] => {
  const [high, low] = inventory?.checkpointLsn.split('/') ?? [];
  if (!inventory || high === undefined || low === undefined) return undefined;
  return { systemIdentifier: inventory.systemIdentifier, lsn: (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`) };
};

/** The system identifiers in the headers of the segments that hold what their names say; of one segment, or of all. */
export function walOwners(
  dataDir: string,
  { entries }: Walk,
  { walSegmentSizeBytes: segmentSizeBytes }: { walSegmentSizeBytes: number },
  only?: bigint,
): string[] {
  const owners = new Set<string>();
  for (const path of entries.keys()) {
    if (!path.startsWith('pg_wal/')) continue;
    const parsed = parseSegmentName(path.slice('pg_wal/'.length), segmentSizeBytes);
    if (!parsed || (only !== undefined && parsed.segment !== only)) continue;
    const header = readSegmentHeader(headOf(join(dataDir, path)));
    if (header && holdsSegment(header, { ...header, ...parsed })) owners.add(header.systemIdentifier);
  }
  return [...owners];
}

function headOf(path: string, length = LONG_HEADER_BYTES): Buffer {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    return Buffer.alloc(0); // Recycled meanwhile.
  }
  try {
    const head = Buffer.alloc(length);
    return head.subarray(0, readSync(file, head, 0, length, 0));
  } finally {
    closeSync(file);
  }
}

async function goesOn(dataDir: string, control: ControlFile, signal: AbortSignal): Promise<boolean> {
  const { timeline, systemIdentifier, walSegmentSizeBytes: segmentSizeBytes, checkpointLsn } = control;
  let records = 0;
  await readWal(fromText(join(dataDir, 'pg_wal')), { timeline, systemIdentifier, segmentSizeBytes }, checkpointLsn, signal, () => {
    records += 1;
    return records < 2;
  });
  return records > 1;
}

const FILES_ASKED = 16;
const BYTES_ASKED = 1024 * 1024;

/** After a clean shutdown no page is newer than its checkpoint. The files written to last are asked, the first megabyte of each. */
function newerPage(dataDir: string, { entries }: Walk, { checkpointLsn, blockSizeBytes }: ControlFile): string | undefined {
  const files = [...entries.values()]
    .filter(({ path, kind, sizeBytes }) => kind === 'file' && sizeBytes >= blockSizeBytes && RELATION.test(path))
    .sort((a, b) => b.mtimeMs - a.mtimeMs)
    .slice(0, FILES_ASKED);
  for (const { path } of files) {
    const bytes = headOf(join(dataDir, path), BYTES_ASKED);
    for (let at = 0; at + blockSizeBytes <= bytes.length; at += blockSizeBytes) {
      const lsn = (BigInt(bytes.readUInt32LE(at)) << 32n) | BigInt(bytes.readUInt32LE(at + 4)); // pd_lsn: the high half stands first.
      const [lower, upper, special] = [12, 14, 16].map((offset) => bytes.readUInt16LE(at + offset)) as [number, number, number];
      const isPage = lower >= 24 && lower <= upper && upper <= special && special <= blockSizeBytes;
      if (isPage && lsn > checkpointLsn) return `page ${at / blockSizeBytes} of ${path} was written at ${formatLsn(lsn)}`;
    }
  }
  return undefined;
}

/** Whose cluster it is by its WAL alone; undefined where there is none, or where it is of several. */
export function ownerByWal(dataDir: string, seen: Walk): string | undefined {
  const sizes = [...seen.entries.values()].filter(({ path }) => /^pg_wal\/[0-9A-F]{24}$/.test(path)).map(({ sizeBytes }) => sizeBytes);
  const owners = new Set(
    [...new Set(sizes)].filter((size) => size >= 1024 * 1024).flatMap((size) => walOwners(dataDir, seen, { walSegmentSizeBytes: size })),
  );
  return owners.size === 1 ? [...owners][0] : undefined;
}

import { closeSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { readRecords } from '../formats/wal-reader.ts';
import { formatLsn, holdsSegment, LONG_HEADER_BYTES, parseSegmentName, readSegmentHeader, segmentOf } from '../formats/wal-segment.ts';
import { fill } from '../kernel/reasons.ts';
import { openPlainSync, unlessNoFile } from '../machine/plain-file.ts';
import { contradictions, FIRST_USER_OID, figuresOf, type Verdict, type Witnesses } from './contradictions.ts';
import type { Inventory } from './inventory.ts';
import type { Reached } from './reached.ts';
import { RELATION } from './relations.ts';
import type { Walk } from './walk.ts';

/** The witness against a pg_control that reads well; undefined where nothing does. The plain case costs one read of 64 KiB. */
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
  return row && { verdict: row.then, words: fill(row.words, figuresOf(witnesses)) };
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
    file = openPlainSync(path);
  } catch (cause) {
    unlessNoFile(cause);
    return Buffer.alloc(0); // Recycled meanwhile, or a folder in its place.
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
  await readRecords(fromText(join(dataDir, 'pg_wal')), { timeline, systemIdentifier, segmentSizeBytes }, checkpointLsn, signal, () => {
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

/** The owner of the data by its WAL alone; undefined where there is none, or where it is of several. */
export function ownerByWal(dataDir: string, seen: Walk): string | undefined {
  const sizes = [...seen.entries.values()].filter(({ path }) => /^pg_wal\/[0-9A-F]{24}$/.test(path)).map(({ sizeBytes }) => sizeBytes);
  const owners = new Set(
    [...new Set(sizes)].filter((size) => size >= 1024 * 1024).flatMap((size) => walOwners(dataDir, seen, { walSegmentSizeBytes: size })),
  );
  return owners.size === 1 ? [...owners][0] : undefined;
}

import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lsn, segmentName, segmentOf, timelineOfHistory } from '../formats/wal-segment.ts';
import { namesIn } from '../machine/is-there.ts';
import { readPlain } from '../machine/plain-file.ts';
import type { ArchivedSegment, ArchivedTimeline, WalArchive } from './contract.ts';
import { openPgWal } from './pg-wal.ts';
import { asDamage } from './read-kept.ts';
import { sharedLength } from './resume.ts';

export interface Gathering {
  readonly archive: WalArchive;
  /** Its timelines, as far as they can be read. */
  readonly timelines: readonly ArchivedTimeline[];
  /** The pg_wal of the instance that is replaced; undefined where that is gone. */
  readonly pgWal: string | undefined;
  /** A folder to lay it out in, which is made anew. */
  readonly into: string;
  /** Timelines that the instance has left again: a restore to them was undone. */
  readonly abandoned: ReadonlySet<number>;
}

/** Where the WAL goes on that is wanted: behind a backup. */
export interface WantedFrom {
  readonly timeline: number;
  readonly lsn: Lsn;
}

/** WAL of an archive and of a pg_wal, laid out as a server reads it. */
export interface GatheredWal {
  /** Segments and histories under their own names. */
  readonly directory: string;
  /** The same segments, all under the names of the newest timeline: for whoever reads them in one go. */
  readonly view: string;
  readonly timeline: number;
  /** The name in `directory` of a segment. */
  nameOf(segment: bigint): string;
  /** Its end comes from the archive: the server may have come further. */
  readonly endsInArchive: boolean;
  /** Segments of the archive that do not hold what their names say: passed over as if they were not there. */
  readonly damaged: readonly ArchivedSegment[];
}

/** One timeline of the way from a backup to the newest, and where it begins. */
interface Leg {
  readonly timeline: number;
  readonly beginLsn: Lsn;
}

/** The way from the wanted place to the newest timeline that descends from it. Pure. */
export function wayFrom({ timeline, lsn }: WantedFrom, timelines: readonly Pick<ArchivedTimeline, 'id' | 'history'>[]): readonly Leg[] {
  const descends = ({ id, history }: Pick<ArchivedTimeline, 'id' | 'history'>): boolean =>
    id === timeline || history.some((fork) => fork.timeline === timeline && fork.switchLsn >= lsn);
  const newest = timelines.filter(descends).reduce<(typeof timelines)[number] | undefined>((a, b) => (a && a.id > b.id ? a : b), undefined);
  if (newest === undefined || newest.id === timeline) return [{ timeline, beginLsn: 0n }];
  const later = newest.history.filter((fork) => fork.timeline >= timeline);
  const ids = [...later.map((fork) => fork.timeline), newest.id];
  return ids.map((id, index) => ({ timeline: id, beginLsn: index === 0 ? 0n : later[index - 1]!.switchLsn }));
}

/** The timeline whose file holds a segment: in the one where two part it is the later one's. Pure. */
export const timelineAt = (way: readonly Leg[], segment: bigint, segmentSizeBytes: number): number =>
  way.findLast(({ beginLsn }) => segmentOf(beginLsn, segmentSizeBytes) <= segment)!.timeline;

/**
 * Lays out what follows the wanted place without a hole: whole segments of the archive, and from pg_wal what the archive does not have yet. Undefined
 * where the archive has nothing of that server.
 */
export async function gatherWal(
  { archive, timelines, pgWal, into, abandoned }: Gathering,
  wanted: WantedFrom,
  signal: AbortSignal,
): Promise<GatheredWal | undefined> {
  const size = await archive.segmentSizeBytes();
  if (size === undefined) return undefined;
  const way = wayFrom(
    wanted,
    timelines.filter(({ id }) => !abandoned.has(id)),
  );
  const target = way.at(-1)!.timeline;
  const view = join(into, 'view');
  await rm(into, { recursive: true, force: true });
  await mkdir(view, { recursive: true, mode: 0o700 });
  const kept = new Map(timelines.flatMap(({ segments }) => segments.map((segment) => [segment.name, segment] as const)));
  const nameOf = (segment: bigint): string => segmentName(timelineAt(way, segment, size), segment, size);
  let endsInArchive = false;
  const damaged: ArchivedSegment[] = [];
  for (let segment = segmentOf(wanted.lsn, size); ; segment += 1n) {
    signal.throwIfAborted();
    const name = nameOf(segment);
    const place = { pgWal, timeline: timelineAt(way, segment, size), segment, size };
    const found = await pieceOf(archive, kept.get(name), { ...place, damaged: (kept) => damaged.push(kept) }, signal);
    if (found === undefined) break;
    endsInArchive = found.from === 'archive';
    await writeFile(join(into, name), found.plain, { mode: 0o600 });
    await link(join(into, name), join(view, segmentName(target, segment, size)));
  }
  await gatherHistories(archive, timelines, { pgWal, into }, signal);
  return { directory: into, view, timeline: target, nameOf, endsInArchive, damaged };
}

interface Place {
  readonly pgWal: string | undefined;
  readonly timeline: number;
  readonly segment: bigint;
  readonly size: number;
}

interface Wanted extends Place {
  damaged(kept: ArchivedSegment): void;
}

interface Piece {
  readonly plain: Buffer;
  readonly from: 'archive' | 'pg_wal';
}

/** The archive's, unless pg_wal has the same and more of it: a damaged pg_wal never stands against what was kept. */
export async function pieceOf(
  archive: WalArchive,
  kept: ArchivedSegment | undefined,
  place: Wanted,
  signal: AbortSignal,
): Promise<Piece | undefined> {
  const own = await ownSegment(archive, place);
  const plain = kept && (await archive.read(kept, signal).catch((cause: unknown) => void asDamage(cause)));
  if (kept && plain === undefined) place.damaged(kept);
  if (plain === undefined) return own && { plain: own, from: 'pg_wal' };
  if (own && sharedLength(plain, own) === plain.length) return { plain: own, from: 'pg_wal' };
  return { plain: plain.length === place.size ? plain : Buffer.concat([plain, Buffer.alloc(place.size - plain.length)]), from: 'archive' };
}

async function ownSegment({ systemIdentifier }: WalArchive, { pgWal, timeline, segment, size }: Place): Promise<Buffer | undefined> {
  if (pgWal === undefined) return undefined;
  const from = segment * BigInt(size);
  return openPgWal(pgWal, { systemIdentifier, timeline, segmentSizeBytes: size }).read(from, from + BigInt(size));
}

/** All of them: no number of a timeline is given twice. */
async function gatherHistories(
  archive: WalArchive,
  timelines: readonly ArchivedTimeline[],
  { pgWal, into }: Pick<Gathering, 'pgWal' | 'into'>,
  signal: AbortSignal,
): Promise<void> {
  const own = pgWal === undefined ? [] : await namesIn(pgWal);
  for (const name of own.filter((file) => timelineOfHistory(file) !== undefined)) {
    await writeFile(join(into, name), await readPlain(join(pgWal!, name)), { mode: 0o600 });
  }
  for (const { id } of timelines) {
    const name = `${id.toString(16).toUpperCase().padStart(8, '0')}.history`;
    if (!own.includes(name)) await archive.fetch(name, join(into, name), signal);
  }
}

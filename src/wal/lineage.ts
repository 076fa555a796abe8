import { join } from 'node:path';
import { type Fork, parseTimelineHistory } from '../formats/timeline-history.ts';
import type { SegmentBytes } from '../formats/wal-pages.ts';
import { formatLsn, holdsSegment, type Lsn, readSegmentHeader, segmentName, segmentOf, timelineOfHistory } from '../formats/wal-segment.ts';
import { DbkitError } from '../kernel/errors.ts';
import { namesIn } from '../machine/is-there.ts';
import { readPlain, readPlainText, unlessNoFile } from '../machine/plain-file.ts';
import type { ArchivedSegment, ArchivedTimeline, WalArchive } from './contract.ts';
import { asDamage } from './read-kept.ts';

/** Where WAL of one cluster is: its archive, and folders of plain segments (pg_wal of a data directory, or of a base backup). */
export interface WalPlaces {
  readonly archive: WalArchive;
  readonly folders: readonly string[];
  readonly systemIdentifier: string;
  readonly segmentSizeBytes: number;
}

/** The WAL that leads to one timeline: its own, and before each fork its ancestor's. */
export interface Lineage {
  readonly timeline: number;
  /** Its ancestors, oldest first. */
  readonly history: readonly Fork[];
  readonly bytes: SegmentBytes;
  /** The file name under which the server looks for a segment first; undefined where none of its files is there. */
  nameOf(segment: bigint): Promise<string | undefined>;
  /** The first segment behind `segment` that is there: what lies between is a gap. */
  nextAfter(segment: bigint): bigint | undefined;
  /** Until where a timeline is followed; undefined for the last one; null for one that is no ancestor. */
  followedUntil(timeline: number): Lsn | undefined | null;
}

/** The history files of all timelines that are known, with their content. */
export async function historiesOf({ archive, folders }: WalPlaces, signal: AbortSignal): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>();
  for (const folder of folders) {
    signal.throwIfAborted();
    for (const name of await namesIn(folder)) {
      const timeline = timelineOfHistory(name);
      if (timeline !== undefined && !found.has(timeline)) found.set(timeline, await readPlainText(join(folder, name)));
    }
  }
  for (const { id, history } of await archive.timelines(signal)) if (history.length > 0 && !found.has(id)) found.set(id, textOf(history));
  return found;
}

const textOf = (history: readonly Fork[]): string =>
  history.map(({ timeline, switchLsn, reason }) => `${timeline}\t${formatLsn(switchLsn)}\t${reason}\n`).join('');

/** Rejects with `recovery.refused` where the history of a later timeline is not there: nobody can tell where it came from. */
export async function openLineage(places: WalPlaces, timeline: number, signal: AbortSignal): Promise<Lineage> {
  const history = parseTimelineHistory((await historiesOf(places, signal)).get(timeline) ?? '');
  if (timeline !== 1 && history.length === 0)
    throw new DbkitError('recovery.refused', `the history of timeline ${timeline} is neither in the archive nor in pg_wal`, {
      hint: 'name another timeline; `dbkit wal status` lists those of the archive; nothing was changed',
    });
  const { segmentSizeBytes } = places;
  const archived = new Map((await places.archive.timelines(signal)).map((one) => [one.id, one]));
  const listed = new Map(await Promise.all(places.folders.map(async (folder) => [folder, new Set(await namesIn(folder))] as const)));
  const spans = spansOf(history, timeline, segmentSizeBytes);
  const names = (segment: bigint): { name: string; timeline: number }[] =>
    spans
      .filter(({ first, last }) => segment >= first && (last === undefined || segment <= last))
      .map(({ id }) => ({ name: segmentName(id, segment, segmentSizeBytes), timeline: id }));

  async function find(segment: bigint): Promise<{ name: string; bytes: Buffer } | undefined> {
    for (const { name, timeline: id } of names(segment)) {
      signal.throwIfAborted();
      let damage: DbkitError | undefined;
      const whole = await ofArchive(archived.get(id), name, 'whole', places.archive, signal).catch((cause: unknown) => {
        damage = asDamage(cause);
      });
      const bytes =
        whole ??
        (await ofFolders(listed, { name, segment, timeline: id }, places)) ??
        (await ofArchive(archived.get(id), name, 'tail', places.archive, signal));
      if (bytes) return { name, bytes };
      if (damage) throw damage;
    }
    return undefined;
  }

  return {
    timeline,
    history,
    bytes: async (segment) => (await find(segment))?.bytes,
    nameOf: async (segment) => (await find(segment))?.name,
    nextAfter(segment) {
      const later = [...archived.values()]
        .flatMap(({ segments }) => segments)
        .map(({ startLsn, name }) => ({ segment: segmentOf(startLsn, segmentSizeBytes), name }))
        .filter((one) => one.segment > segment && names(one.segment).some(({ name }) => name === one.name))
        .map((one) => one.segment);
      return later.sort((a, b) => Number(a - b))[0];
    },
    followedUntil: (id) => (id === timeline ? undefined : (history.find((fork) => fork.timeline === id)?.switchLsn ?? null)),
  };
}

interface Span {
  readonly id: number;
  readonly first: bigint;
  readonly last: bigint | undefined;
}

/** Which timelines have a segment, newest first, as the server looks for it (xlogrecovery.c, XLogFileReadAnyTLI): the one of a fork is in both. */
function spansOf(history: readonly Fork[], timeline: number, segmentSizeBytes: number): Span[] {
  const ids = [...history.map((fork) => fork.timeline), timeline];
  return ids
    .map((id, index): Span => {
      const begin = history[index - 1]?.switchLsn ?? 0n;
      const end = history[index]?.switchLsn;
      return { id, first: segmentOf(begin, segmentSizeBytes), last: end === undefined ? undefined : segmentOf(end - 1n, segmentSizeBytes) };
    })
    .reverse();
}

async function ofArchive(
  timeline: ArchivedTimeline | undefined,
  name: string,
  kind: ArchivedSegment['kind'],
  archive: WalArchive,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const [one, other] = timeline?.segments.filter((segment) => segment.name === name && segment.kind === kind) ?? [];
  if (one === undefined) return undefined;
  if (other === undefined) return archive.read(one, signal);
  throw new DbkitError('wal.conflict', `the archive holds two different segments ${name}: ${one.path} and ${other.path}`, {
    hint: 'keep the file of the server that you mean and move the other one away; nothing was changed',
  });
}

/** A recycled file carries the name of a segment to come: its header tells. */
async function ofFolders(
  listed: ReadonlyMap<string, ReadonlySet<string>>,
  { name, segment, timeline }: { name: string; segment: bigint; timeline: number },
  { systemIdentifier, segmentSizeBytes }: WalPlaces,
): Promise<Buffer | undefined> {
  for (const [folder, names] of listed) {
    if (!names.has(name)) continue;
    const bytes = await readPlain(join(folder, name)).catch(unlessNoFile);
    if (bytes && holdsSegment(readSegmentHeader(bytes), { timeline, segment, systemIdentifier, segmentSizeBytes })) return bytes;
  }
  return undefined;
}

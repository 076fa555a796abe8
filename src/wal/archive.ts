import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseTimelineHistory } from '../formats/timeline-history.ts';
import { timelineOfHistory } from '../formats/wal-segment.ts';
import { zstd } from '../formats/zstd.ts';
import { DbkitError, errnoOf, unlessMissing, wordsOf } from '../kernel/errors.ts';
import type { Files } from '../kernel/machine.ts';
import type { ArchivedSegment, ArchivedTimeline, ArchiveRecord, WalArchive } from './contract.ts';
import { archiveDir, historyFile, parseKept, RECORD, startOf, timelineFolder, timelineOfFolder } from './layout.ts';
import { asDamage, HISTORY_BYTES_MAX, namesOfKept, readKept } from './read-kept.ts';

/** wal_segment_size is a power of two from 1 MiB to 1 GiB (initdb). */
const segmentSize = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(1024 * 1024),
  v.maxValue(1024 * 1024 * 1024),
  v.check((bytes) => Number.isInteger(Math.log2(bytes))),
);
const recordSchema = v.object({
  schema: v.literal('dbkit.wal/v1'),
  systemIdentifier: v.pipe(v.string(), v.regex(/^\d+$/)),
  segmentSizeBytes: segmentSize,
});

/** Undefined where nothing has been kept yet. Rejects with `wal.damaged` for a record that cannot be read: no segment of it could be placed. */
export async function readArchiveRecord(dir: string): Promise<ArchiveRecord | undefined> {
  const path = join(dir, RECORD);
  const text = (await readKept(path, HISTORY_BYTES_MAX).catch(unlessMissing))?.toString();
  return text === undefined ? undefined : parseArchiveRecord(text, path);
}

/** Rejects with `wal.damaged`. */
export function parseArchiveRecord(text: string, path: string): ArchiveRecord {
  try {
    return v.parse(recordSchema, JSON.parse(text));
  } catch (cause) {
    throw new DbkitError('wal.damaged', `${path} is not the record of a WAL archive`, {
      hint: 'write it again: { "schema": "dbkit.wal/v1", "systemIdentifier": the folder\'s name, "segmentSizeBytes": 16777216 by default }',
      cause,
    });
  }
}

/** The kept WAL of one server, for whoever reads it: files that come and go meanwhile do no harm. */
export function openArchive(repositoryDir: string, systemIdentifier: string, files: Pick<Files, 'write'>): WalArchive {
  const dir = archiveDir(repositoryDir, systemIdentifier);
  const segmentSizeBytes = async (): Promise<number | undefined> => (await readArchiveRecord(dir))?.segmentSizeBytes;
  return {
    systemIdentifier,
    dir,
    segmentSizeBytes,
    async timelines(signal) {
      const { timelines, damage } = await survey(dir, signal);
      if (damage[0]) throw damage[0];
      return timelines;
    },
    survey: (signal) => survey(dir, signal),
    read: (segment, signal) => readSegment(segment, signal),
    segment: async (name) => segmentNamed(dir, name, await segmentSizeBytes()),
    async fetch(name, to, signal) {
      const plain = await plainOf(dir, name, segmentSizeBytes, signal);
      if (plain === undefined) return false;
      await files.write(to, plain, { mode: 0o600 });
      return true;
    },
  };
}

async function survey(dir: string, signal: AbortSignal): ReturnType<WalArchive['survey']> {
  const damage: DbkitError[] = [];
  const unlessTold = (cause: unknown): undefined => {
    damage.push(asDamage(cause));
  };
  const record = await readArchiveRecord(dir).catch(unlessTold);
  if (record === undefined) return { timelines: [], damage };
  const timelines: ArchivedTimeline[] = [];
  for (const id of (await readdir(dir)).map(timelineOfFolder).sort((a, b) => (a ?? 0) - (b ?? 0))) {
    signal.throwIfAborted();
    const found = id === undefined ? undefined : await timelineOf(dir, id, record.segmentSizeBytes).catch(unlessTold);
    if (found !== undefined) timelines.push(found);
  }
  return { timelines, damage };
}

const timelineOf = async (dir: string, id: number, segmentSizeBytes: number): Promise<ArchivedTimeline> => ({
  id,
  history: await historyOf(dir, id),
  segments: await segmentsIn(dir, id, segmentSizeBytes),
});

async function plainOf(
  dir: string,
  name: string,
  segmentSizeBytes: () => Promise<number | undefined>,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const ofHistory = timelineOfHistory(name);
  if (ofHistory !== undefined)
    return readKept(join(dir, timelineFolder(ofHistory), historyFile(ofHistory)), HISTORY_BYTES_MAX).catch(unlessMissing);
  const size = await segmentSizeBytes();
  const one = await segmentNamed(dir, name, size);
  if (size === undefined || one === undefined) return undefined;
  const bytes = await readSegment(one, signal);
  return bytes.length === size ? bytes : Buffer.concat([bytes, Buffer.alloc(size - bytes.length)]);
}

async function segmentNamed(dir: string, name: string, segmentSizeBytes: number | undefined): Promise<ArchivedSegment | undefined> {
  const place = segmentSizeBytes === undefined ? undefined : startOf(name, segmentSizeBytes);
  if (segmentSizeBytes === undefined || place === undefined) return undefined;
  const [one, other] = await segmentsIn(dir, place.timeline, segmentSizeBytes, name);
  if (one !== undefined && other !== undefined) throw conflictOf(one, other);
  return one;
}

const conflictOf = (one: ArchivedSegment, other: ArchivedSegment): DbkitError =>
  new DbkitError('wal.conflict', `the archive holds two different segments ${one.name}: ${one.path} and ${other.path}`, {
    hint: 'two servers wrote to one archive; keep the file of the server that you mean and move the other one away',
  });

async function historyOf(dir: string, id: number): Promise<ArchivedTimeline['history']> {
  const text = await readKept(join(dir, timelineFolder(id), historyFile(id)), HISTORY_BYTES_MAX).catch(unlessMissing);
  return text === undefined ? [] : parseTimelineHistory(text.toString());
}

/** Sorted by LSN; `only`: those of that name. A tail is left out where its segment is there whole: dbkit was killed between the two. */
export async function segmentsIn(dir: string, timeline: number, segmentSizeBytes: number, only = ''): Promise<readonly ArchivedSegment[]> {
  const folder = join(dir, timelineFolder(timeline));
  const names = (await namesOfKept(folder)).filter((name) => name.startsWith(only));
  const segments: ArchivedSegment[] = [];
  for (const file of names) {
    const kept = parseKept(file);
    const place = kept && startOf(kept.name, segmentSizeBytes);
    if (kept === undefined || place?.timeline !== timeline) continue;
    const path = join(folder, file);
    const found = await stat(path).catch(unlessMissing);
    if (!found?.isFile()) continue; // Expired, or whole by now.
    const sizeBytes = kept.kind === 'whole' ? segmentSizeBytes : Math.min(found.size, segmentSizeBytes);
    segments.push({ ...kept, ...place, path, endLsn: place.startLsn + BigInt(sizeBytes), sizeBytes, storedBytes: found.size });
  }
  const whole = new Set(segments.filter(({ kind }) => kind === 'whole').map(({ name }) => name));
  return segments
    .filter(({ kind, name }) => kind === 'whole' || !whole.has(name))
    .sort((a, b) => Number(a.startLsn - b.startLsn) || (a.path < b.path ? -1 : 1));
}

/** The name a whole segment has in the archive carries this of its plain bytes. */
export const sha16Of = (plain: Uint8Array): string => newSha16().update(plain).sha16();

/** The same of bytes that come in pieces. */
export function newSha16() {
  const hash = createHash('sha256');
  const growing = {
    update: (plain: Uint8Array) => {
      hash.update(plain);
      return growing;
    },
    sha16: (): string => hash.digest('hex').slice(0, 16),
  };
  return growing;
}

async function readSegment({ path, kind, sizeBytes, sha16 }: ArchivedSegment, signal: AbortSignal): Promise<Buffer> {
  const stored = await readKept(path, 2 * sizeBytes + HISTORY_BYTES_MAX, signal);
  if (kind === 'tail') return stored;
  const plain = path.endsWith('.plain') ? stored : await unpacked(path, stored, sizeBytes);
  if (plain.length !== sizeBytes) throw damaged(path, `it holds ${plain.length} bytes instead of ${sizeBytes}`);
  if (sha16Of(plain) !== sha16) throw damaged(path, 'it does not hold what its name says');
  return plain;
}

const unpacked = async (path: string, stored: Buffer, sizeBytes: number): Promise<Buffer> =>
  (await zstd()).decompress(stored, sizeBytes).catch((cause: unknown) => {
    if (isOutOfMemory(cause)) throw cause;
    throw damaged(path, 'it cannot be unpacked', cause);
  });

/** Of Node, of V8 and of zstd: that says nothing of the file. */
const isOutOfMemory = (cause: unknown): boolean => /memory|alloc/i.test(`${errnoOf(cause) ?? ''} ${wordsOf(cause)}`);

const damaged = (path: string, how: string, cause?: unknown): DbkitError =>
  new DbkitError('wal.damaged', `${path} is damaged: ${how}`, {
    hint: 'take a base backup: `dbkit backup create`; what is before it can only be reached with another copy of this file',
    cause,
  });

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseTimelineHistory } from '../formats/timeline-history.ts';
import { timelineOfHistory } from '../formats/wal-segment.ts';
import { zstd } from '../formats/zstd.ts';
import { DbkitError, errnoOf, unlessMissing, wordsOf } from '../kernel/errors.ts';
import type { Files } from '../kernel/machine.ts';
import type { ArchiveDamage, ArchivedSegment, ArchivedTimeline, ArchiveRecord, WalArchive } from './contract.ts';
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
      const size = await segmentSizeBytes();
      const found: ArchivedTimeline[] = [];
      for (const id of size === undefined ? [] : await timelinesIn(dir, signal)) found.push(await timelineOf(dir, id, size!, signal));
      return found;
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
  const damage: ArchiveDamage[] = [];
  const telling =
    (timeline?: number) =>
    (cause: unknown): undefined => {
      damage.push({ timeline, error: asDamage(cause) });
    };
  const ids = await timelinesIn(dir, signal).catch(telling());
  const record = ids && (await readArchiveRecord(dir).catch(telling()));
  if (ids?.length && damage.length === 0 && record === undefined) telling()(damaged(join(dir, RECORD), 'it is gone'));
  const timelines: ArchivedTimeline[] = [];
  for (const id of record === undefined ? [] : (ids ?? [])) {
    const found = await timelineOf(dir, id, record!.segmentSizeBytes, signal, telling(id)).catch(telling(id));
    if (found !== undefined) timelines.push(found);
    if (id > 1 && found?.history.length === 0) telling(id)(damaged(join(dir, timelineFolder(id), historyFile(id)), 'it names no timeline'));
  }
  return { timelines, damage };
}

async function timelinesIn(dir: string, signal: AbortSignal): Promise<readonly number[]> {
  signal.throwIfAborted();
  const ids = (await namesOfKept(dir)).map(timelineOfFolder).filter((id) => id !== undefined);
  return ids.sort((a, b) => a - b);
}

async function timelineOf(
  dir: string,
  id: number,
  segmentSizeBytes: number,
  signal: AbortSignal,
  odd?: (cause: DbkitError) => void,
): Promise<ArchivedTimeline> {
  signal.throwIfAborted();
  return { id, history: await historyOf(dir, id), segments: await segmentsIn(dir, id, segmentSizeBytes, { odd }) };
}

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
  const [one, other] = await segmentsIn(dir, place.timeline, segmentSizeBytes, { only: name });
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

/**
 * Sorted by LSN; `only`: those of that name; `odd` hears of what bears a segment's name and is no file. A tail is left out where its segment is there
 * whole: dbkit was killed between the two.
 */
export async function segmentsIn(
  dir: string,
  timeline: number,
  segmentSizeBytes: number,
  { only = '', odd }: { readonly only?: string; readonly odd?: ((cause: DbkitError) => void) | undefined } = {},
): Promise<readonly ArchivedSegment[]> {
  const folder = join(dir, timelineFolder(timeline));
  const names = (await namesOfKept(folder)).filter((name) => name.startsWith(only));
  const segments: ArchivedSegment[] = [];
  for (const file of names) {
    const kept = parseKept(file);
    const place = kept && startOf(kept.name, segmentSizeBytes);
    if (kept === undefined || place?.timeline !== timeline) continue;
    const path = join(folder, file);
    const found = await stat(path).catch(unlessMissing);
    if (found && !found.isFile()) odd?.(damaged(path, 'it is no file'));
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

const outOfMemory = new Set(['ENOMEM', 'ERR_MEMORY_ALLOCATION_FAILED', 'ZSTD_error_memory_allocation']);

/** Of Node, of V8 and of zstd (zstd_errors.h: 64, by its number from WebAssembly): that says nothing of the file. */
const isOutOfMemory = (cause: unknown): boolean =>
  outOfMemory.has(errnoOf(cause) ?? '') || /code -64$|^Array buffer allocation failed/.test(wordsOf(cause));

const damaged = (path: string, how: string, cause?: unknown): DbkitError =>
  new DbkitError('wal.damaged', `${path} is damaged: ${how}`, {
    hint: 'take a base backup: `dbkit backup create`; what is before it can only be reached with another copy of this file',
    cause,
  });

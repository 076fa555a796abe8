import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { holdsSegment, readSegmentHeader } from '../formats/wal-segment.ts';
import { zstd } from '../formats/zstd.ts';
import { DbkitError, unlessMissing } from '../kernel/errors.ts';
import type { Files, Owner } from '../kernel/machine.ts';
import { isThere } from '../machine/is-there.ts';
import { readArchiveRecord, segmentsIn, sha16Of } from './archive.ts';
import { archiveDir, historyFile, RECORD, startOf, tailFile, timelineFolder, wholeFile } from './layout.ts';
import { HISTORY_BYTES_MAX, lengthOfKept, readKept, readPiece } from './read-kept.ts';

export interface WriterNeeds {
  readonly repositoryDir: string;
  readonly systemIdentifier: string;
  readonly segmentSizeBytes: number;
  readonly owner: Owner | undefined;
  readonly files: Files;
}

/** The unfinished segment: it grows at its end, and is durable when `append` has resolved. */
export interface Tail {
  readonly name: string;
  lengthBytes(): number;
  append(plain: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** The kept WAL of one server, written. Nothing that is there is ever overwritten with something else. */
export interface ArchiveWriter {
  readonly dir: string;
  /**
   * 'there': the same bytes were kept before. Rejects with `wal.foreign` for a segment that is not what its name says or of another cluster, and
   * with `wal.conflict` where other bytes are kept under its name.
   */
  keepWhole(name: string, plain: Buffer, signal: AbortSignal): Promise<'kept' | 'there'>;
  /** Rejects with `wal.conflict` where another history of that timeline is kept: somebody else went on from an earlier point too. */
  keepHistory(timeline: number, text: Buffer): Promise<'kept' | 'there'>;
  /** The tail of that segment, with what it has; `lengthBytes` cuts off what a torn write left behind. */
  openTail(name: string, lengthBytes: number): Promise<Tail>;
  /** In bytes; undefined where there is no tail. Rejects with `wal.damaged` for what is no tail. */
  tailLength(name: string): Promise<number | undefined>;
  /** The tail's bytes from `from` to `to`; fewer where it has become shorter meanwhile. `into`: a buffer that is large enough. */
  tailBytes(name: string, from: number, to: number, into?: Buffer): Promise<Buffer>;
}

/** Makes the folders, and the archive's record, with the first thing that is kept. */
export function openWriter(needs: WriterNeeds): ArchiveWriter {
  const { repositoryDir, systemIdentifier, segmentSizeBytes, owner, files } = needs;
  const dir = archiveDir(repositoryDir, systemIdentifier);
  const options = { mode: 0o600, owner };
  const prepared = new Set<number>();
  const tailPath = (name: string): string => join(dir, timelineFolder(startOf(name, segmentSizeBytes)!.timeline), tailFile(name));

  async function folderOf(timeline: number): Promise<string> {
    const folder = join(dir, timelineFolder(timeline));
    if (prepared.has(timeline) && (await isThere(folder))) return folder; // Else somebody has emptied the repository meanwhile.
    await files.makeDirectory(folder, { mode: 0o700, owner });
    await writeRecord(dir, needs);
    prepared.add(timeline);
    return folder;
  }

  return {
    dir,
    async keepWhole(name, plain, signal) {
      const timeline = requireOwn(name, plain, { systemIdentifier, segmentSizeBytes });
      const folder = await folderOf(timeline);
      const sha16 = sha16Of(plain);
      const kept = (await segmentsIn(dir, timeline, segmentSizeBytes)).filter((one) => one.name === name && one.kind === 'whole');
      const other = kept.find((one) => one.sha16 !== sha16);
      if (other) throw conflict(`the archive holds another segment ${name} already: ${other.path}`);
      if (kept.length === 0) {
        signal.throwIfAborted();
        await files.write(join(folder, wholeFile(name, sha16)), await (await zstd()).compress(plain), options);
      }
      await rm(join(folder, tailFile(name)), { force: true });
      return kept.length === 0 ? 'kept' : 'there';
    },
    async keepHistory(timeline, text) {
      const path = join(await folderOf(timeline), historyFile(timeline));
      const there = await readKept(path, HISTORY_BYTES_MAX).catch(unlessMissing);
      if (there?.equals(text)) return 'there';
      if (there) throw conflict(`the archive holds another history of timeline ${timeline} already: ${path}`);
      await files.write(path, text, options);
      return 'kept';
    },
    async openTail(name, lengthBytes) {
      const path = join(await folderOf(startOf(name, segmentSizeBytes)!.timeline), tailFile(name));
      return growing(path, name, lengthBytes, files, owner);
    },
    tailLength: (name) => lengthOfKept(tailPath(name), segmentSizeBytes).catch(unlessMissing),
    tailBytes: (name, from, to, into) => readPiece(tailPath(name), from, to, into),
  };
}

/** The timeline in the name. */
function requireOwn(
  name: string,
  plain: Buffer,
  { systemIdentifier, segmentSizeBytes }: Pick<WriterNeeds, 'systemIdentifier' | 'segmentSizeBytes'>,
): number {
  const place = startOf(name, segmentSizeBytes);
  const header = readSegmentHeader(plain);
  const expected = place && {
    timeline: place.timeline,
    segment: place.startLsn / BigInt(segmentSizeBytes),
    systemIdentifier,
    segmentSizeBytes,
  };
  if (place && expected && plain.length === segmentSizeBytes && holdsSegment(header, expected)) return place.timeline;
  const whose =
    header && header.systemIdentifier !== systemIdentifier
      ? `is of the cluster ${header.systemIdentifier}`
      : 'does not hold what its name says';
  throw new DbkitError('wal.foreign', `segment ${name} ${whose}, and the archive is that of the cluster ${systemIdentifier}`, {
    hint: 'nothing of it was archived; find out which server’s pg_wal it comes from',
  });
}

const conflict = (what: string): DbkitError =>
  new DbkitError('wal.conflict', what, {
    hint: 'a copy of this server wrote into its archive, or this is the copy: give one of them a BACKUP_DIR of its own; nothing was overwritten',
  });

async function writeRecord(dir: string, { systemIdentifier, segmentSizeBytes, owner, files }: WriterNeeds): Promise<void> {
  const record = await readArchiveRecord(dir);
  if (record === undefined) {
    const body = { schema: 'dbkit.wal/v1', systemIdentifier, segmentSizeBytes };
    return files.write(join(dir, RECORD), `${JSON.stringify(body, null, 2)}\n`, { mode: 0o600, owner });
  }
  if (record.segmentSizeBytes === segmentSizeBytes) return;
  throw new DbkitError(
    'wal.foreign',
    `${dir} keeps segments of ${record.segmentSizeBytes} bytes, and this server writes ${segmentSizeBytes}`,
    {
      hint: 'pg_resetwal has changed the size: move that folder away, and take a base backup',
    },
  );
}

async function growing(path: string, name: string, lengthBytes: number, files: Files, owner: Owner | undefined): Promise<Tail> {
  if ((await stat(path).catch(unlessMissing)) === undefined) await files.write(path, '', { mode: 0o600, owner });
  const file = await open(path, 'r+');
  let length = lengthBytes;
  try {
    const { size } = await file.stat();
    if (size < lengthBytes) throw new RangeError(`${path} has ${size} bytes, not ${lengthBytes}`);
    if (size > lengthBytes) await file.truncate(lengthBytes);
  } catch (cause) {
    await file.close();
    throw cause;
  }
  return {
    name,
    lengthBytes: () => length,
    async append(plain) {
      await writeAll(file, plain, length);
      await file.datasync();
      const [there, own] = await Promise.all([stat(path).catch(unlessMissing), file.stat()]);
      if (there?.ino !== own.ino)
        throw new DbkitError('wal.damaged', `${path} was removed while it was written`, {
          hint: 'it is written again',
        });
      length += plain.length;
    },
    close: () => file.close(),
  };
}

/** A full disk writes less than it was asked to, and says so only with the next piece. */
async function writeAll(file: FileHandle, plain: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < plain.length; ) {
    const { bytesWritten } = await file.write(plain, done, plain.length - done, at + done);
    done += bytesWritten;
  }
}

import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join as joinPath } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { type BytePath, fromText, join, toText } from '../../formats/byte-path.ts';
import type { PageRule, SuspectPage } from '../../formats/pages.ts';
import type { Lsn } from '../../formats/wal-segment.ts';
import type { Identity, Logger } from '../../kernel/machine.ts';
import { inThreads } from '../../machine/threads.ts';
import { type CopiedFile, type CopyResult, type CopyTask, copyFile, prepareCopies } from '../copy-file.ts';
import { writeNew } from '../durable-tree.ts';
import { type Cluster, readControl } from './cluster.ts';
import type { Sharing } from './earlier.ts';
import { checksummedSegment } from './exclusions.ts';
import type { ManifestFile } from './manifest.ts';
import type { Choose } from './pages/choose.ts';
import type { TakenFile } from './pages/take-over.ts';
import type { FileStamp } from './sharing.ts';
import type { SourceFile } from './walk.ts';

/** Facts that are true of every file of one backup. */
export interface CopyJob {
  /** The staging directory, absolute; every directory of the tree exists in it. */
  readonly staging: BytePath;
  readonly owner: Identity | undefined;
  readonly sharing: Sharing;
  /** Says what a file that is not shared is compared with. */
  readonly choose: Choose;
  /** Undefined where the instance has no data checksums. */
  readonly checksums:
    | { readonly blockSizeBytes: number; readonly blocksPerSegment: number; readonly startLsn: Lsn | undefined }
    | undefined;
  readonly log: Logger;
  /** Of all threads together; undefined: as fast as it can. */
  readonly bytesPerSecond: number | undefined;
  /** Many files: made durable together at the end, not each by itself. */
  readonly bulk: boolean;
}

/** Files that have been copied so far; filled by `copyTree` and `copyControlFile`. */
export interface Copied {
  readonly files: ManifestFile[];
  readonly stamps: Map<BytePath, FileStamp>;
  readonly damage: Map<BytePath, number[]>;
  readonly torn: { readonly path: BytePath; readonly page: SuspectPage }[];
  /** Files that are there only as what differs from the earlier backup's. */
  readonly taken: TakenFile[];
  /** Files that cannot be read in the earlier backup, with the words of whoever tried: copied whole. */
  readonly earlierDamage: Map<BytePath, string>;
  sharedFiles: number;
  cloned: number;
  newBytes: number;
}

export const nothingCopied = (): Copied => ({
  files: [],
  stamps: new Map(),
  damage: new Map(),
  torn: [],
  taken: [],
  earlierDamage: new Map(),
  sharedFiles: 0,
  cloned: 0,
  newBytes: 0,
});

/** Those of them that are in the backup: files of a tablespace that was made meanwhile are not. */
export function stillTaken({ taken, files }: Copied): TakenFile[] {
  const paths = new Set(files.map(({ path }) => path));
  return taken.filter(({ path }) => paths.has(path));
}

export const BACKUP_FILE_MODE = 0o600;
/** Sharing is a matter of microseconds for each file; between so many, signals are heard. */
const SHARED_AT_ONCE = 500;

/**
 * Shares or copies every listed file. The stamps are those of the walk, taken before anything is read, so a change in between shows up as
 * another stamp. Files that have vanished since are left out: WAL replay knows that they are gone.
 */
export async function copyTree(job: CopyJob, files: readonly SourceFile[], copied: Copied, signal: AbortSignal): Promise<void> {
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  const advance = (bytes: number): void => {
    done += bytes;
    job.log.progress('backup.copy', 'copying files', { done, total, unit: 'bytes' });
  };
  const toCopy = new Map<BytePath, SourceFile>();
  for (const [index, file] of files.entries()) {
    if (index % SHARED_AT_ONCE === 0) await turn();
    signal.throwIfAborted();
    const shared = job.sharing.share(file.path, file, join(job.staging, file.path));
    if (!shared) {
      toCopy.set(file.path, file);
      continue;
    }
    copied.files.push(shared);
    copied.stamps.set(file.path, file);
    copied.sharedFiles += 1;
    advance(file.sizeBytes);
  }
  const threads = availableParallelism();
  const bytesPerSecond = job.bytesPerSecond && job.bytesPerSecond / threads;
  const tasks = [...toCopy.values()].map((file) => ({ ...taskOf(job, file), bytesPerSecond }));
  const numbers = new Map(tasks.map(({ path, against }) => [path, against?.how === 'delta' ? against.number : undefined]));
  const note = ({ path, copied: result }: CopyResult): void => {
    const file = toCopy.get(path)!;
    if (result) add(copied, file, result, numbers.get(path));
    advance(file.sizeBytes); // Copied, shrunk or gone: none of it is left to do.
  };
  await inThreads(
    tasks,
    {
      script: 'copy-worker.js',
      prepare: prepareCopies,
      inPlace: copyFile,
      done: note,
      always: bytesPerSecond !== undefined,
    },
    signal,
  );
}

const taskOf = (job: CopyJob, { path, from, sizeBytes }: SourceFile): CopyTask => ({
  path,
  from,
  to: join(job.staging, path),
  sizeBytes,
  sizeMaxBytes: sizeBytes,
  mode: BACKUP_FILE_MODE,
  owner: job.owner,
  pages: pageRule(job, path),
  against: job.choose(path, sizeBytes),
  sync: !job.bulk,
});

function add(copied: Copied, file: SourceFile, result: CopiedFile, number: number | undefined): void {
  const { sizeBytes, sha256, damagedBlocks, tornPages, compared, writtenBytes, earlierDamage } = result;
  const { path, mtimeNs } = file;
  copied.files.push({ path, sizeBytes, modifiedAt: new Date(Number(mtimeNs / 1_000_000n)), sha256 });
  copied.stamps.set(path, file);
  copied.newBytes += writtenBytes;
  if (compared?.how === 'clone') copied.cloned += 1;
  if (compared?.how === 'delta' && number !== undefined)
    copied.taken.push({ path, number, sizeBytes, changedPages: compared.changedPages });
  if (earlierDamage !== undefined) copied.earlierDamage.set(path, earlierDamage);
  if (damagedBlocks.length > 0) copied.damage.set(path, [...damagedBlocks]);
  copied.torn.push(...tornPages.map((page) => ({ path, page })));
}

/** pg_control, after everything else, so that it covers every page that was copied before it. Resolves to what it said. */
export async function copyControlFile({ staging, owner }: CopyJob, dataDir: string, copied: Copied, signal: AbortSignal): Promise<Cluster> {
  const path = fromText('global/pg_control');
  const { bytes: body, cluster } = await readControl(dataDir, signal);
  const { mtime } = await lstat(joinPath(dataDir, 'global/pg_control'));
  await writeNew(join(staging, path), body, { mode: BACKUP_FILE_MODE, owner });
  copied.files.push({ path, sizeBytes: body.length, modifiedAt: mtime, sha256: createHash('sha256').update(body).digest('hex') });
  copied.newBytes += body.length;
  return cluster;
}

function pageRule({ checksums }: CopyJob, path: BytePath): PageRule | undefined {
  const segment = checksums === undefined ? undefined : checksummedSegment(path);
  if (checksums === undefined || segment === undefined) return undefined;
  return { blockSizeBytes: checksums.blockSizeBytes, firstBlock: segment * checksums.blocksPerSegment, startLsn: checksums.startLsn };
}

/**
 * Settles what looked torn, once the backup has stopped: a page may be newer than the backup's start, but none can be newer than its end, so
 * an unsound page that claims to be is damaged.
 */
export function settleTornPages(copied: Copied, stopLsn: Lsn): void {
  for (const { path, page } of copied.torn) {
    if (page.lsn > stopLsn) copied.damage.set(path, [...(copied.damage.get(path) ?? []), page.block]);
  }
}

/** One warning for each damaged file. */
export function reportDamage({ damage }: Copied, log: Logger): void {
  for (const [path, blocks] of damage) {
    const name = toText(path);
    log.warn('backup.page-damaged', `${name} has ${blocks.length} damaged pages, the first at block ${blocks[0]}.`, {
      path: name,
      pages: blocks.length,
    });
  }
}

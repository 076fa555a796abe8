import { join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import type { SegmentBytes } from '../formats/wal-pages.ts';
import type { Lsn } from '../formats/wal-segment.ts';
import { bound } from '../kernel/deadline.ts';
import type { Logger } from '../kernel/machine.ts';
import { inThreads } from '../machine/threads.ts';
import { goneFiles, inScope } from './proof-scope.ts';
import { type ProofResult, type ProofTask, proveFile, withEmptied } from './prove-file.ts';
import { RELATION } from './relations.ts';
import { type Known, walBytes, walSince } from './wal-since.ts';
import type { Entry, Walk } from './walk.ts';

/** The newest good backup of this cluster, as something to hold pages against. */
export interface Baseline {
  readonly label: string;
  /** A whole data directory. */
  readonly directory: string;
  /** Where the WAL begins that tells what has changed since, and on which timeline. */
  readonly from: Lsn;
  readonly timeline: number;
  /** Its files of relations, relative to the directory, with their sizes. */
  readonly sizesBytes: ReadonlyMap<string, number>;
  /** The file in the data directory is still the very one that was copied: nobody has written to it since. */
  isUntouched(path: string, file: string): boolean;
  /** The data has been where the backup ends: no restore has left its timeline before. */
  leadsTo(dataDir: string, signal: AbortSignal): Promise<boolean>;
  /** The WAL that leads from it to the timeline, of the archive and of folders together; undefined where nobody can tell the way. */
  keptWal(dataDir: string, timeline: number, signal: AbortSignal): Promise<SegmentBytes | undefined>;
  /** The backup's own bytes match its manifest. */
  isIntact(path: string, signal: AbortSignal): Promise<boolean>;
  /** Nobody removes it, or writes over its files, while `work` reads them. `isHeld`: false where somebody does just now, or has. */
  whileHeld<T>(work: (isHeld: boolean) => Promise<T>, signal: AbortSignal): Promise<T>;
}

/** Finds it, where there is one; asked only when something is to be proven. */
export type FindBaseline = (systemIdentifier: string, signal: AbortSignal) => Promise<Baseline | undefined>;

export interface ProofRequest {
  readonly dataDir: string;
  readonly control: ControlFile;
  readonly baseline: Baseline | undefined;
  /** Everything that lies in the data directory. */
  readonly seen: Walk;
  /** Which of it is to be proven; default: all. */
  readonly wanted?: ((path: string) => boolean) | undefined;
  /** Files that are proven however much there is to read, and what may be read in all for the rest to be proven too; default: all of it. */
  readonly must?: ReadonlyMap<string, Suspicion> | undefined;
  /** The reason to doubt a file, where it is read again and no file must be read; default: that of `must`. */
  readonly suspicions?: ReadonlyMap<string, Suspicion> | undefined;
  readonly budgetBytes?: number | undefined;
  /** After that nothing more is read, and nothing is said of what was doubtful: it is unproven. Default: no limit. */
  readonly limitMs?: number | undefined;
  /** Reads even what nobody has written to since the backup. */
  readonly whole: boolean;
  readonly isLive: boolean;
  /** Lets everybody else on the machine go first. */
  readonly isPatient?: boolean | undefined;
  readonly log: Logger;
}

export interface Proof {
  readonly pages: number;
  readonly bytes: number;
  /** Files with pages that are lost, or cannot be read. */
  readonly doubtful: readonly ProofResult[];
  /** Files with pages that hold zeroes, of which neither a backup nor the WAL can say whether they should: no damage. */
  readonly unknown: readonly ProofResult[];
  /** Files without a doubt, with pages of which neither a backup nor the WAL speaks. */
  readonly unheard: readonly ProofResult[];
  /** Files that were doubtful at first sight, when the time was over: no damage. */
  readonly unproven: readonly string[];
  /** The backup that it was held against; null: only the WAL spoke. */
  readonly against: string | null;
  /** The rest was more than may be read now. */
  readonly isCutShort: boolean;
  /** The time was over: also what had to be read may not have been. */
  readonly isLate: boolean;
}

/** A file that was seen shorter than it had been: pages from the one to the other that hold zeroes were not there. */
export interface Suspicion {
  readonly fromBlock: number;
  readonly toBlock: number;
  /** When it was longer: WAL from there on must be at hand, as it may have been cut since. Undefined: whatever happened, it cannot be so short. */
  readonly since?: Lsn | undefined;
  /** It was written to while no server ran: zeroes before its last page in use are that writer's. */
  readonly hasForeignZeroes?: boolean;
}

const none = () => ({ pages: 0, bytes: 0, doubtful: [], unknown: [], unheard: [] });
const nothingRead: Proof = { ...none(), unproven: [], against: null, isCutShort: true, isLate: false };

/**
 * Proves pages: each one either is as the newest good backup holds it, or is named by a WAL record since and has seen it. Where there is no
 * backup, or WAL since then is gone, the WAL that is there speaks alone. Reads, never writes; what there is no time for stays unknown.
 */
export async function provePages(request: ProofRequest, signal: AbortSignal): Promise<Proof> {
  const limit = bound([signal], request.limitMs);
  const seen: Progress = { ...none(), known: undefined };
  const { baseline } = request;
  const against = (isHeld: boolean): Promise<Proof> => prove(isHeld ? request : { ...request, baseline: undefined }, seen, limit.signal);
  try {
    return await (baseline === undefined ? against(true) : baseline.whileHeld(against, limit.signal));
  } catch (cause) {
    if (!limit.isLate() || signal.aborted) throw cause;
    const { known, doubtful, ...counted } = seen;
    return {
      ...counted,
      doubtful: [],
      unproven: doubtful.map(({ path }) => path),
      against: known?.baseline?.label ?? null,
      isCutShort: true,
      isLate: true,
    };
  } finally {
    limit.release();
  }
}

/** As far as a proof has come. */
interface Progress {
  pages: number;
  bytes: number;
  readonly doubtful: ProofResult[];
  readonly unknown: ProofResult[];
  readonly unheard: ProofResult[];
  known: Known | undefined;
}

async function prove(request: ProofRequest, seen: Progress, signal: AbortSignal): Promise<Proof> {
  const { seen: entries, wanted = () => true, must = new Map<string, Suspicion>(), budgetBytes = Number.POSITIVE_INFINITY } = request;
  if (must.size === 0 && walBytes(request) > budgetBytes) return nothingRead;
  const known = await walSince(request, signal);
  seen.known = known;
  const all = [...inScope(entries, wanted), ...goneFiles(request, known)].flatMap((entry) => taskFor(request, known, entry));
  const isCutShort = walBytes(request) + sizeOf(all) > budgetBytes;
  const tasks = isCutShort ? all.filter(({ path }) => must.has(path)) : all;
  await readAll(request, tasks, seen, signal);
  const sure = (await withoutDamagedBackup(known.baseline, request, tasks, seen, signal)).map((result) =>
    result.doubts.some(({ doubt }) => doubt === 'zeroed') ? withEmptied(result) : result,
  );
  const { pages, bytes, unknown, unheard } = seen;
  return {
    pages,
    bytes,
    doubtful: sure.sort((a, b) => a.path.localeCompare(b.path)),
    unknown,
    unheard,
    unproven: [],
    against: known.baseline?.label ?? null,
    isCutShort,
    isLate: false,
  };
}

async function readAll({ isPatient, log }: ProofRequest, tasks: readonly Sized[], seen: Progress, signal: AbortSignal): Promise<void> {
  const total = sizeOf(tasks);
  const done = (result: ProofResult): void => {
    seen.pages += result.pages;
    seen.bytes += result.bytes;
    if (result.doubts.length > 0 || result.unreadable !== undefined) seen.doubtful.push(result);
    else if (result.emptied.length > 0) seen.unknown.push(result);
    else if (result.isUnheard) seen.unheard.push(result);
    log.progress('pages.proven', 'holding pages against the backup and the WAL', { done: seen.bytes, total, unit: 'bytes' });
  };
  const patience = { script: 'patient-proof-worker.js', always: true, threadsMax: 1 };
  await inThreads(tasks, { ...(isPatient ? patience : { script: 'proof-worker.js' }), inPlace: proveFile, done }, signal);
}

const sizeOf = (tasks: readonly { readonly sizeBytes: number }[]): number => tasks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

type Sized = ProofTask & { readonly sizeBytes: number };

function taskFor(request: ProofRequest, known: Known, { path, sizeBytes }: Pick<Entry, 'path' | 'sizeBytes'>): Sized[] {
  const { dataDir, control, whole, isLive } = request;
  const { history, baseline } = known;
  const says = history?.of(path);
  if (says?.isDropped) return [];
  const segment = Number(RELATION.exec(path)?.[3] ?? 0);
  const firstBlock = segment * control.blocksPerSegment;
  const named = says?.segment(segment);
  const file = join(dataDir, path);
  const keptBlocks = baseline?.sizesBytes.has(path) ? Math.max((says?.keptBlocks ?? Number.POSITIVE_INFINITY) - firstBlock, 0) : 0;
  const suspected = (request.suspicions ?? request.must)?.get(path);
  const counts = suspected !== undefined && (suspected.since === undefined || (history !== undefined && history.from <= suspected.since));
  const toBlock = Math.min(suspected?.toBlock ?? 0, Math.max((says?.keptBlocks ?? Number.POSITIVE_INFINITY) - firstBlock, 0));
  if (!whole && suspected === undefined && named === undefined && baseline?.isUntouched(path, file)) return [];
  return [
    {
      file,
      path,
      firstBlock,
      blockSizeBytes: control.blockSizeBytes,
      checksums: control.checksums,
      named: named ?? new Float64Array(0),
      blocksAtLeast: Math.min(Math.max((says?.blocks ?? 0) - firstBlock, 0), control.blocksPerSegment),
      kept: baseline && keptBlocks > 0 ? { file: join(baseline.directory, path), blocks: keptBlocks } : undefined,
      suspicion: counts ? { ...suspected, toBlock } : undefined,
      isComplete: baseline !== undefined && !history?.isPartial && !history?.isCopied(path),
      isFollowed: (request.seen.entries.get(`${path.replace(/\.\d+$/, '')}.${segment + 1}`)?.sizeBytes ?? 0) > 0,
      endLsn: history === undefined ? Number.POSITIVE_INFINITY : Number(history.end),
      isLive,
      isAtRest: !isLive && control.state === 'shut down',
      sizeBytes,
    },
  ];
}

/** A backup's file that is not the one that was backed up speaks against nothing: then the WAL speaks alone. */
async function withoutDamagedBackup(
  baseline: Baseline | undefined,
  request: ProofRequest,
  tasks: readonly Sized[],
  { doubtful, unknown, unheard }: Progress,
  signal: AbortSignal,
): Promise<ProofResult[]> {
  if (baseline === undefined) return [...doubtful];
  const sure: ProofResult[] = [];
  const alone: Sized[] = [];
  for (const result of doubtful) {
    const relies = result.doubts.some(({ doubt }) => doubt !== 'unsound' && doubt !== 'behind');
    const isSure = !relies || !baseline.sizesBytes.has(result.path) || (await baseline.isIntact(result.path, signal));
    if (isSure) sure.push(result);
    else alone.push(...tasks.filter(({ path }) => path === result.path).map((task) => ({ ...task, kept: undefined, isComplete: false })));
  }
  const again: Progress = { ...none(), known: undefined };
  if (alone.length > 0) await readAll(request, alone, again, signal);
  unknown.push(...again.unknown);
  unheard.push(...again.unheard);
  return [...sure, ...again.doubtful];
}

import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BytePath, fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { firstRecordOf } from '../formats/wal-reader.ts';
import { type Lsn, parseSegmentName, segmentOf } from '../formats/wal-segment.ts';
import type { Logger } from '../kernel/machine.ts';
import { inThreads } from '../machine/threads.ts';
import { type PageHistory, readPageHistory } from './page-history.ts';
import { type ProofResult, type ProofTask, proveFile } from './prove-file.ts';
import { RELATION } from './relations.ts';
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
  /** The backup's own bytes match its manifest. */
  isIntact(path: string, signal: AbortSignal): Promise<boolean>;
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
  readonly budgetBytes?: number | undefined;
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
  /** The backup that it was held against; null: only the WAL spoke. */
  readonly against: string | null;
  /** Every page has been held against both, with all WAL in between at hand. */
  readonly isComplete: boolean;
  /** The rest was more than may be read now. */
  readonly isCutShort: boolean;
}

/** A file that was seen shorter than it had been: pages from the one to the other that hold zeroes were not there. */
export interface Suspicion {
  readonly fromBlock: number;
  readonly toBlock: number;
  /** When it was longer: WAL from there on must be at hand, as it may have been cut since. Undefined: whatever happened, it cannot be so short. */
  readonly since?: Lsn | undefined;
}

const nothingRead: Proof = { pages: 0, bytes: 0, doubtful: [], against: null, isComplete: false, isCutShort: true };

/**
 * Proves pages: each one either is as the newest good backup holds it, or is named by a WAL record since and has seen it. Where there is no
 * backup, or WAL since then is gone, the WAL that is there speaks alone. Reads, never writes.
 */
export async function provePages(request: ProofRequest, signal: AbortSignal): Promise<Proof> {
  const { seen, wanted = () => true, log, must = new Map<string, Suspicion>(), budgetBytes = Number.POSITIVE_INFINITY } = request;
  if (must.size === 0 && walBytes(request) > budgetBytes) return nothingRead;
  const known = await historyFor(request, signal);
  const all = [...inScope(seen, wanted), ...goneFiles(request, known)].flatMap((entry) => taskFor(request, known, entry));
  const isCutShort = walBytes(request) + sizeOf(all) > budgetBytes;
  const tasks = isCutShort ? all.filter(({ path }) => must.has(path)) : all;
  const total = sizeOf(tasks);
  const doubtful: ProofResult[] = [];
  let [pages, bytes] = [0, 0];
  const done = (result: ProofResult): void => {
    pages += result.pages;
    bytes += result.bytes;
    if (result.doubts.length > 0 || result.unreadable !== undefined) doubtful.push(result);
    log.progress('pages.proven', 'holding pages against the backup and the WAL', { done: bytes, total, unit: 'bytes' });
  };
  const patience = { script: 'patient-proof-worker.js', always: true, threadsMax: 1 };
  await inThreads(tasks, { ...(request.isPatient ? patience : { script: 'proof-worker.js' }), inPlace: proveFile, done }, signal);
  const sure = await withoutDamagedBackup(known.baseline, doubtful, signal);
  return {
    pages,
    bytes,
    doubtful: sure.sort((a, b) => a.path.localeCompare(b.path)),
    against: known.baseline?.label ?? null,
    isComplete: known.baseline !== undefined && !known.history?.isPartial && !isCutShort,
    isCutShort,
  };
}

const sizeOf = (tasks: readonly { readonly sizeBytes: number }[]): number => tasks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/** What is to be read of the WAL; where there is no backup, what is here. */
function walBytes({ dataDir, control, baseline }: ProofRequest): number {
  if (baseline !== undefined && baseline.from <= control.checkpointLsn) return Number(control.checkpointLsn - baseline.from);
  return segmentsHere(dataDir, control).length * control.walSegmentSizeBytes;
}

/** The backup counts only where all WAL since then could be read. */
interface Known {
  readonly history: PageHistory | undefined;
  readonly baseline: Baseline | undefined;
}

async function historyFor({ dataDir, control, baseline }: ProofRequest, signal: AbortSignal): Promise<Known> {
  const own = fromText(join(dataDir, 'pg_wal'));
  const isShutDown = control.state === 'shut down';
  const flushedTo = isShutDown ? control.checkpointLsn : control.redoLsn;
  const { systemIdentifier, timeline, walSegmentSizeBytes: segmentSizeBytes, blocksPerSegment } = control;
  const read = (directories: readonly BytePath[], from: Lsn, firstTimeline: number): Promise<PageHistory> =>
    readPageHistory(
      { directories, identity: { systemIdentifier, timeline, firstTimeline, segmentSizeBytes }, from, flushedTo, blocksPerSegment },
      signal,
    );
  if (baseline && baseline.timeline <= timeline && baseline.from <= flushedTo && (await baseline.leadsTo(dataDir, signal))) {
    const history = await read([own, fromText(join(baseline.directory, 'pg_wal'))], baseline.from, baseline.timeline);
    if (history.end >= flushedTo) return { history, baseline };
  }
  // Without it, the longest run of WAL that leads to the last checkpoint.
  for (let from = firstSegment(dataDir, control, 0n); from !== undefined; ) {
    const start = await firstRecordOf(own, { systemIdentifier, timeline, segmentSizeBytes }, from, signal);
    const history = start === undefined ? undefined : await read([own], start, timeline);
    if (history && history.end >= flushedTo) return { history, baseline: undefined };
    from = firstSegment(dataDir, control, (history ? segmentOf(history.end, segmentSizeBytes) : from) + 1n);
  }
  return { history: undefined, baseline: undefined };
}

/** Segments of the cluster's timeline up to the last checkpoint's; later files may be old ones that wait for their turn. */
function segmentsHere(dataDir: string, { timeline, redoLsn, walSegmentSizeBytes: size }: ControlFile): bigint[] {
  const last = segmentOf(redoLsn, size);
  return readdirSync(join(dataDir, 'pg_wal')).flatMap((name) => {
    const parsed = parseSegmentName(name, size);
    return parsed?.timeline === timeline && parsed.segment <= last ? [parsed.segment] : [];
  });
}

/** The oldest segment from `from` on. */
const firstSegment = (dataDir: string, control: ControlFile, from: bigint): bigint | undefined =>
  segmentsHere(dataDir, control)
    .filter((segment) => segment >= from)
    .sort((a, b) => (a < b ? -1 : 1))[0];

/** Main and init forks of logged relations. The maps of free space and visibility are rebuilt; unlogged relations are emptied by a crash. */
function inScope({ entries }: Walk, wanted: (path: string) => boolean): Pick<Entry, 'path' | 'sizeBytes'>[] {
  return [...entries.values()].filter(({ path, kind }) => {
    const [, , fork] = (kind === 'file' && RELATION.exec(path)) || [];
    if (kind !== 'file' || !RELATION.test(path) || fork === 'fsm' || fork === 'vm' || !wanted(path)) return false;
    return fork === 'init' || !entries.has(`${path.replace(/\.\d+$/, '')}_init`);
  });
}

/** Files that the backup holds, of directories that are still there, and that nothing has removed since. */
function goneFiles(
  { dataDir, seen, wanted = () => true }: ProofRequest,
  { history, baseline }: Known,
): Pick<Entry, 'path' | 'sizeBytes'>[] {
  if (!baseline || !history) return [];
  const paths = [...baseline.sizesBytes.keys()].filter((path) => !seen.entries.has(path) && wanted(path) && mainFork.test(path));
  return paths
    .filter((path) => existsSync(join(dataDir, dirname(path))) && !history.of(path)?.isDropped && (baseline.sizesBytes.get(path) ?? 0) > 0)
    .map((path) => ({ path, sizeBytes: 0 }));
}

const mainFork = /\/\d+(\.\d+)?$/;

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
  const suspected = request.must?.get(path);
  const counts = suspected !== undefined && (suspected.since === undefined || (history !== undefined && history.from <= suspected.since));
  const suspicion = counts && {
    fromBlock: suspected.fromBlock,
    toBlock: Math.min(suspected.toBlock, Math.max((says?.keptBlocks ?? Number.POSITIVE_INFINITY) - firstBlock, 0)),
  };
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
      suspicion: suspicion || undefined,
      isComplete: baseline !== undefined && !history?.isPartial && !history?.isCopied(path),
      endLsn: history === undefined ? Number.POSITIVE_INFINITY : Number(history.end),
      isLive,
      sizeBytes,
    },
  ];
}

/** What only the backup's page speaks against counts for nothing where that is not the page that was backed up. */
async function withoutDamagedBackup(
  baseline: Baseline | undefined,
  results: readonly ProofResult[],
  signal: AbortSignal,
): Promise<ProofResult[]> {
  const sure: ProofResult[] = [];
  for (const result of results) {
    const relies = result.doubts.some(({ doubt }) => doubt === 'differs' || doubt === 'zeroed' || doubt === 'cut' || doubt === 'unnamed');
    if (!relies || baseline === undefined || !baseline.sizesBytes.has(result.path) || (await baseline.isIntact(result.path, signal))) {
      sure.push(result);
      continue;
    }
    const doubts = result.doubts.filter(({ doubt }) => doubt === 'unsound' || doubt === 'behind');
    if (doubts.length > 0 || result.unreadable !== undefined) sure.push({ ...result, doubts });
  }
  return sure;
}

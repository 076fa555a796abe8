import { stat } from 'node:fs/promises';
import { formatLsn, type Lsn } from '../formats/wal-segment.ts';
import { errnoOf } from '../kernel/errors.ts';
import type { ArchivedTimeline, WalArchive } from './contract.ts';
import { disputedOf, holesOf } from './holes.ts';
import type { WalGap, WalKeepingState } from './keeping.ts';
import { type AwaitedWal, type NeedsWal, planWalRetention, type SegmentDecision, segmentRows } from './retention.ts';
import { unreadBackups } from './unread-backups.ts';

/** `dbkit wal status`: LSNs as PostgreSQL prints them, bytes, seconds; fields are only ever added. */
export interface WalStatus {
  /** BACKUP_DIR/wal/<system identifier>. */
  readonly dir: string;
  readonly systemIdentifier: string;
  /** The words of the supervisor: null where it has kept nothing with this state directory. */
  readonly state: WalKeepingState['state'] | null;
  readonly problem: WalKeepingState['problem'];
  /** A slot holds WAL back for the archive. */
  readonly guarded: boolean;
  /** Commits wait for the archive. */
  readonly synchronous: boolean;
  /** Where the archive stands; null where it is empty. */
  readonly end: { readonly timeline: number; readonly lsn: string; readonly at: string } | null;
  /** Behind the server; null where that does not answer, or writes on another timeline. */
  readonly lag: { readonly bytes: number; readonly seconds: number } | null;
  readonly timelines: readonly {
    readonly timeline: number;
    readonly fromLsn: string;
    readonly toLsn: string;
    readonly segments: number;
    readonly storedBytes: number;
    readonly holes: readonly { readonly fromLsn: string; readonly toLsn: string }[];
    readonly disputed: readonly string[];
  }[];
  /** Told when they came about. */
  readonly gaps: readonly WalGap[];
  readonly storedBytes: number;
  /** Each configured place that WAL is sent to. */
  readonly copies: readonly CopyStatus[];
  /** Why the segments are there; those that retention would remove come last. */
  readonly keptFor: readonly {
    readonly reason: string;
    readonly because: string;
    readonly segments: number;
    readonly storedBytes: number;
  }[];
  /** Labels of base backups whose record cannot be read: until it can, no WAL expires. */
  readonly unreadBackups: readonly string[];
}

/** The WAL in one of `copies:`, by what the machine that sends it has noted. */
export interface CopyOfWal {
  readonly name: string;
  /** Sent as it is kept; else only with backups. */
  readonly isContinuous: boolean;
  /** Nothing expires here before it is there. */
  readonly isAwaited: boolean;
  /** All WAL up to there is in the copy, as of that moment; null where nothing was sent yet. */
  readonly end: { readonly timeline: number; readonly lsn: Lsn; readonly at: Date } | null;
  /** Why nothing can be sent; null while it works. */
  readonly failing: { readonly since: string; readonly message: string } | null;
}

export interface CopyStatus extends Omit<CopyOfWal, 'end'> {
  readonly end: { readonly timeline: number; readonly lsn: string; readonly at: string } | null;
  /** Behind the archive; null where one of them is empty. */
  readonly lag: { readonly bytes: number; readonly seconds: number } | null;
}

export interface WalStatusFacts {
  readonly archive: WalArchive;
  readonly keeping: WalKeepingState | undefined;
  readonly backups: readonly NeedsWal[];
  readonly copies: readonly CopyOfWal[];
  /** Undefined where the server does not answer. */
  readonly server: { readonly timeline: number; readonly flushedLsn: Lsn } | undefined;
  readonly now: Date;
}

export async function walStatus(
  { archive, keeping, backups, copies, server, now }: WalStatusFacts,
  signal: AbortSignal,
): Promise<WalStatus> {
  const timelines = await archive.timelines(signal);
  const size = (await archive.segmentSizeBytes()) ?? 1;
  const own = keeping?.systemIdentifier === archive.systemIdentifier ? keeping : undefined;
  const end = await endOf(timelines);
  const unread = await unreadBackups(archive, backups);
  return {
    dir: archive.dir,
    systemIdentifier: archive.systemIdentifier,
    state: own?.state ?? null,
    problem: own?.problem ?? null,
    guarded: own?.guarded ?? false,
    synchronous: own?.synchronous ?? false,
    end: end && { timeline: end.timeline, lsn: formatLsn(end.lsn), at: end.at.toISOString() },
    lag: lagOf(end, server, now),
    timelines: timelines.flatMap(lineOf),
    gaps: own?.gaps ?? [],
    storedBytes: storedBytesOf(timelines.flatMap(({ segments }) => segments)),
    copies: copies.map((copy) => copyStatus(copy, end, now)),
    keptFor: keptFor(planWalRetention(timelines, backups, size, awaitedOf(copies), unread)),
    unreadBackups: unread,
  };
}

interface End {
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly at: Date;
}

/** The end of the newest timeline; its time is that of the last write. */
export async function endOf(timelines: readonly ArchivedTimeline[]): Promise<End | null> {
  const last = timelines.findLast(({ segments }) => segments.length > 0)?.segments.at(-1);
  if (last === undefined) return null;
  const at = await stat(last.path).then(
    ({ mtime }) => mtime,
    (cause: unknown) => {
      if (errnoOf(cause) !== 'ENOENT') throw cause;
      return new Date(0); // Whole by now, under another name.
    },
  );
  return { timeline: last.timeline, lsn: last.endLsn, at };
}

/** Pure. */
export function lagOf(end: End | null, server: WalStatusFacts['server'], now: Date): WalStatus['lag'] {
  if (end === null || server === undefined || server.timeline !== end.timeline) return null;
  const bytes = Math.max(0, Number(server.flushedLsn - end.lsn));
  return { bytes, seconds: bytes === 0 ? 0 : Math.max(0, (now.getTime() - end.at.getTime()) / 1000) };
}

/** Pure. The seconds since all that the archive had was there: what was written later is not known to be. */
export const copyLag = ({ end: reached }: CopyOfWal, end: Pick<End, 'timeline' | 'lsn'> | null, now: Date): CopyStatus['lag'] => {
  if (reached === null || end === null) return null;
  if (reached.timeline === end.timeline && reached.lsn >= end.lsn) return { bytes: 0, seconds: 0 };
  return { bytes: Math.max(0, Number(end.lsn - reached.lsn)), seconds: Math.max(0, (now.getTime() - reached.at.getTime()) / 1000) };
};

const copyStatus = (copy: CopyOfWal, end: End | null, now: Date): CopyStatus => ({
  ...copy,
  end: copy.end && { timeline: copy.end.timeline, lsn: formatLsn(copy.end.lsn), at: copy.end.at.toISOString() },
  lag: copyLag(copy, end, now),
});

function lineOf({ id, segments }: ArchivedTimeline): WalStatus['timelines'][number][] {
  const [first, last] = [segments[0], segments.at(-1)];
  if (first === undefined || last === undefined) return [];
  return [
    {
      timeline: id,
      fromLsn: formatLsn(first.startLsn),
      toLsn: formatLsn(last.endLsn),
      segments: segments.length,
      storedBytes: storedBytesOf(segments),
      holes: holesOf(segments).map(({ from, to }) => ({ fromLsn: formatLsn(from), toLsn: formatLsn(to) })),
      disputed: disputedOf(segments),
    },
  ];
}

const storedBytesOf = (segments: readonly { readonly storedBytes: number }[]): number =>
  segments.reduce((sum, { storedBytes }) => sum + storedBytes, 0);

/** Pure. Of a copy that nothing was ever sent to nothing is awaited: there is no backup that it would be needed by. */
export const awaitedOf = (copies: readonly CopyOfWal[]): readonly AwaitedWal[] =>
  copies.flatMap(({ isContinuous, isAwaited, end }) => (isContinuous && isAwaited && end !== null ? [end] : []));

const keptFor = (decisions: readonly SegmentDecision[]): WalStatus['keptFor'] =>
  segmentRows.flatMap(({ id, words }) => {
    const segments = decisions.filter(({ reason }) => reason === id).map(({ segment }) => segment);
    return segments.length === 0 ? [] : [{ reason: id, because: words, segments: segments.length, storedBytes: storedBytesOf(segments) }];
  });

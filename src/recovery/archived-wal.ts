import { join } from 'node:path';
import { formatLsn } from '../formats/wal-segment.ts';
import type { Finding } from '../inspection/findings.ts';
import { asksToRecover } from '../inspection/gaps.ts';
import type { Inspection } from '../inspection/inspect.ts';
import type { Local } from '../instance/local.ts';
import { isUnmounted } from '../instance/places.ts';
import { wordsOf } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { openArchive } from '../wal/archive.ts';
import { type LedOn, leadOn } from '../wal/lead-on.ts';
import { readMarkBeside } from '../wal/mark.ts';
import { ofWal } from './remedies-of-wal.ts';

const asked: ReadonlySet<Finding['code']> = new Set(ofWal.find(({ id }) => id === 'archive-leads-on')!.findings);

export interface ArchivedWal {
  readonly ledOn: LedOn | undefined;
  /** Nobody knows what the archive holds: its volume is not mounted, or its disk does not answer. */
  readonly isUnreadable: boolean;
}

const none: ArchivedWal = { ledOn: undefined, isUnreadable: false };
const unreadable: ArchivedWal = { ledOn: undefined, isUnreadable: true };

/**
 * WAL of the archive with which a crashed server recovers further than with its own pg_wal. Undefined where nothing is missing there, where a clean stop owes none, and
 * where the server gets its WAL elsewhere; none of older data either, which somebody put back.
 */
export async function archivedWal(
  local: Pick<Local, 'volume' | 'backupDir' | 'system'>,
  { control, follows, saw }: Inspection,
  findings: readonly Finding[],
  signal: AbortSignal,
): Promise<ArchivedWal> {
  if (!control || control.state.startsWith('shut down') || follows || asksToRecover(saw)) return none;
  if (!findings.some(({ code, severity }) => asked.has(code) && severity === 'certain')) return none;
  const { systemIdentifier, timeline, walSegmentSizeBytes: segmentSizeBytes, redoLsn, checkpointLsn } = control;
  const archive = openArchive(local.backupDir, systemIdentifier, local.system.files);
  const from = { identity: { systemIdentifier, timeline, segmentSizeBytes }, redoLsn, checkpointLsn };
  const { dataDir } = local.volume;
  try {
    if (await isUnmounted(join(dataDir, '.dbkit'), local.backupDir)) return unreadable;
    const ledOn = await leadOn(archive, join(dataDir, 'pg_wal'), from, signal);
    if (!ledOn || !(await isPutBack(dataDir, systemIdentifier, ledOn))) return { ledOn, isUnreadable: false };
    const words = `the data are of an earlier day than their WAL archive, which goes on to ${formatLsn(ledOn.end)}: they go on from where they are`;
    local.system.log.warn('archive.ahead', `${words}; \`dbkit backup restore --to latest\` brings back what came after`, {
      endLsn: formatLsn(ledOn.end),
    });
    return none;
  } catch (cause) {
    signal.throwIfAborted();
    unlessOwnTrouble(cause);
    local.system.log.warn('archive.unreadable', `the WAL archive cannot be read: ${wordsOf(cause)}`);
    return unreadable;
  }
}

/** Longer than the mark can be behind a server that writes. */
const OLDER_MS = 60_000;

/**
 * The data with all that belongs to them are of an earlier day, as a snapshot of their volume is: pg_wal has all that the mark beside the data names, and the archive went
 * on long after that was written. Whoever put them back did not want what came after, and can have it (`dbkit backup restore --to latest`).
 */
async function isPutBack(dataDir: string, systemIdentifier: string, { ownEnd, keptAt }: LedOn): Promise<boolean> {
  const mark = await readMarkBeside(dataDir, systemIdentifier);
  return mark !== undefined && ownEnd >= mark.flushedLsn && (await keptAt()).getTime() > Date.parse(mark.at) + OLDER_MS;
}

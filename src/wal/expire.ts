import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { System } from '../kernel/machine.ts';
import type { WalArchive } from './contract.ts';
import { type AwaitedWal, type NeedsWal, planWalRetention, type SegmentDecision } from './retention.ts';
import { unreadBackups } from './unread-backups.ts';

/** The decision about each segment, and the base backups whose records keep all of them. */
export interface ExpiredWal {
  readonly decisions: readonly SegmentDecision[];
  readonly unread: readonly string[];
}

/** Removes what no base backup needs, oldest first; `dryRun` only says what it would. What cannot be removed is told, and left for the next time. */
export async function expireWal(
  archive: WalArchive,
  backups: readonly NeedsWal[],
  { dryRun, log, awaited }: { readonly dryRun: boolean; readonly log: System['log']; readonly awaited: readonly AwaitedWal[] },
  signal: AbortSignal,
): Promise<ExpiredWal> {
  const size = await archive.segmentSizeBytes();
  if (size === undefined) return { decisions: [], unread: [] };
  const unread = await unreadBackups(archive, backups);
  if (unread.length > 0)
    log.warn('wal.unread-backup', `no WAL expires: the record of ${unread.join(', ')} cannot be read`, { labels: unread.join(' ') });
  const decisions = planWalRetention(await archive.timelines(signal), backups, size, awaited, unread);
  const going = dryRun ? [] : decisions.filter(({ keep }) => !keep);
  let removedBytes = 0;
  for (const { segment } of going) {
    signal.throwIfAborted();
    try {
      await rm(segment.path);
      await rm(join(dirname(segment.path), `${segment.name}.idx`), { force: true });
      removedBytes += segment.storedBytes;
    } catch (cause) {
      log.warn('wal.expire-failed', `${segment.path} could not be removed`, {
        why: cause instanceof Error ? cause.message : String(cause),
      });
    }
  }
  if (removedBytes > 0)
    log.info('wal.expired', `Removed ${going.length} WAL segments from the archive that lie before every good base backup.`, {
      removedBytes,
    });
  return { decisions, unread };
}

import type { Config } from '../../config/config.ts';
import { parseLsn } from '../../formats/wal-segment.ts';
import { wordsOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { openArchive } from '../../wal/archive.ts';
import { expireWal } from '../../wal/expire.ts';
import type { NeedsWal } from '../../wal/retention.ts';
import { awaitedOf } from '../../wal/status.ts';
import { copiesOfWal } from '../offsite/wal-notes.ts';
import type { BackupRecord } from './record.ts';

/** The base backups of one system as its WAL archive sees them. */
export const needsOf = (records: readonly BackupRecord[], systemIdentifier: string): NeedsWal[] =>
  records
    .filter((record) => record.systemIdentifier === systemIdentifier)
    .map(({ label, timeline, startLsn, state }) => ({ label, timeline, startLsn: parseLsn(startLsn), isGood: state !== 'damaged' }));

/** After a good backup: WAL that no backup is rolled forward with any more is removed. Where that fails, the backup that was made stands. */
export async function expireArchives(
  records: readonly BackupRecord[],
  { config, system }: { readonly config: Config; readonly system: System },
  signal: AbortSignal,
): Promise<void> {
  for (const systemIdentifier of new Set(records.map((record) => record.systemIdentifier))) {
    const archive = openArchive(config.backupDir, systemIdentifier, system.files);
    const expire = async () => {
      const awaited = awaitedOf(await copiesOfWal(config, systemIdentifier, system.files));
      return expireWal(archive, needsOf(records, systemIdentifier), { dryRun: false, log: system.log, awaited }, signal);
    };
    await expire().catch((cause: unknown) => {
      signal.throwIfAborted();
      system.log.warn('wal.expire-failed', `WAL that no backup needs could not be removed: ${wordsOf(cause)}`);
    });
  }
}

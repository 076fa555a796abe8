import { type Backups, isGood } from '../../backups/backup.ts';
import type { Config } from '../../config/config.ts';
import { levelsWithin, tiers } from '../../config/tiers.ts';
import { parseLsn } from '../../formats/wal-segment.ts';
import type { System } from '../../kernel/machine.ts';
import { openArchive } from '../../wal/archive.ts';
import { readKeeping } from '../../wal/keeping.ts';
import { endOf, lagOf } from '../../wal/status.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { judgeArchive } from './judge-archive.ts';
import type { SharedSessions, Watch } from './sessions.ts';

const REACHED = 'SELECT pg_current_wal_flush_lsn()::text AS flushed, pg_walfile_name(pg_current_wal_flush_lsn()) AS name';

/** The WAL archive that the supervisor keeps: whether it is written, how far it is behind, and whether a gap is still open. */
export function walArchiveProbe(
  { stateDir, backupDir, health, tier }: Config,
  kinds: readonly Backups[],
  { files, clock }: Pick<System, 'files' | 'clock'>,
  sessions: SharedSessions,
): ProbeOf<'wal-archive'> {
  const limits = { archiveDelay: levelsWithin(health.archiveDelay, tier), rpoSeconds: tier === undefined ? null : tiers[tier].rpoSeconds };
  return {
    name: 'wal-archive',
    title: 'WAL in the repository',
    check: (signal) =>
      sessions.during(signal, async (open): Promise<ResultOf<'wal-archive'>> => {
        const keeping = await readKeeping(stateDir, files);
        if (keeping === undefined || keeping.state === 'stopped')
          return judgeArchive({ keeping, end: null, lag: null, backupsAt: [] }, limits, clock.now());
        const archive = openArchive(backupDir, keeping.systemIdentifier, files);
        const server = await reachedBy(await open.watch());
        const end = await endOf(await archive.timelines(signal));
        const lists = await Promise.all(kinds.filter(({ kind }) => kind === 'physical').map(({ repository }) => repository.list(signal)));
        const backupsAt = lists
          .flat()
          .filter(isGood)
          .map(({ createdAt }) => createdAt)
          .sort();
        return judgeArchive({ keeping, end, lag: lagOf(end, server, clock.now()), backupsAt }, limits, clock.now());
      }),
  };
}

async function reachedBy(watch: Watch | undefined): Promise<Parameters<typeof lagOf>[1]> {
  if (!watch || watch.standby) return undefined;
  const [row] = await watch.session.query<{ flushed: string; name: string }>(REACHED);
  return row && { timeline: Number.parseInt(row.name.slice(0, 8), 16), flushedLsn: parseLsn(row.flushed) };
}

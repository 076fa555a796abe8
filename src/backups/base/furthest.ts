import { rm } from 'node:fs/promises';
import type { System } from '../../kernel/machine.ts';
import { openArchive } from '../../wal/archive.ts';
import { type GatheredWal, gatherWal } from '../../wal/gather.ts';
import type { BackupRecord } from './record.ts';
import { type KnownToHave, planRollForward, type RollForward, rollForwardStart } from './roll-forward.ts';

interface Sources {
  readonly walFrom: string | undefined;
  readonly gatherIn?: string | undefined;
}

/**
 * The way forward from a backup that comes furthest: with the replaced instance's own pg_wal where that brings back everything, else with what the
 * archive has of it too. What was gathered stays until the next run clears the folder.
 */
export async function furthest(
  record: BackupRecord,
  { walFrom, gatherIn }: Sources,
  { known, repositoryDir, system }: { readonly known: KnownToHave; readonly repositoryDir: string; readonly system: System },
  signal: AbortSignal,
): Promise<{ readonly rolled: RollForward; readonly walFrom: string | undefined }> {
  const own = await planRollForward(record, walFrom, known, signal);
  if (own.complete || gatherIn === undefined) return { rolled: own, walFrom };
  const gathered = await gather(record, { walFrom, gatherIn }, { repositoryDir, system }, signal);
  if (gathered === undefined) return { rolled: own, walFrom };
  const rolled = await planRollForward(record, gathered.view, known, signal, gathered);
  if (rolled.complete || rolled.end > own.end || rolled.timeline > own.timeline) {
    system.log.info('restore.archive', 'WAL from the archive is rolled forward', { segments: rolled.segments.length });
    return { rolled, walFrom: gathered.directory };
  }
  await rm(gatherIn, { recursive: true, force: true });
  return { rolled: own, walFrom };
}

function gather(
  record: BackupRecord,
  { walFrom, gatherIn }: { readonly walFrom: string | undefined; readonly gatherIn: string },
  { repositoryDir, system }: { readonly repositoryDir: string; readonly system: System },
  signal: AbortSignal,
): Promise<GatheredWal | undefined> {
  const archive = openArchive(repositoryDir, record.systemIdentifier, system.files);
  const from = { timeline: record.timeline, lsn: rollForwardStart(record) };
  return gatherWal({ archive, pgWal: walFrom, into: gatherIn }, from, signal);
}

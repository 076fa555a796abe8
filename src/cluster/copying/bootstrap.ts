import { join } from 'node:path';
import { createBackups } from '../../backups/backups.ts';
import type { PointRequest } from '../../backups/base/points/point.ts';
import { findBackup, requireBase } from '../../backups/find-backup.ts';
import { serverOn } from '../../instance/guard/preflight.ts';
import { clusterEntries } from '../../instance/volume.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { isThere } from '../../machine/is-there.ts';
import { openArchive } from '../../wal/archive.ts';
import { historyFile } from '../../wal/layout.ts';
import { historiesOf } from '../../wal/lineage.ts';
import { setMemberAside } from '../member/set-aside-member.ts';
import { calledByPatroni } from './called-by-patroni.ts';
import { type CopyingNeeds, stageWhole } from './create-replica.ts';
import { planWhole } from './whole-plan.ts';

export interface BootstrapWish {
  readonly dataDir: string;
  readonly label: string | undefined;
  readonly point: PointRequest | undefined;
  /** A data directory that was set aside: its WAL counts, too. */
  readonly oldData: string | undefined;
}

export interface BootstrapReport {
  readonly label: string;
  readonly dataDir: string;
  readonly sizeBytes: number;
  readonly durationMs: number;
}

/**
 * Makes the data of a cluster's first member from a backup, with the WAL up to a moment; Patroni sets recovery up (`recovery_conf`) and starts it.
 * Rejects with `data.corrupt`, `backup.missing`, `recovery.refused`, and `file.exists` where there is a database already.
 */
export async function bootstrapMember(needs: CopyingNeeds, wish: BootstrapWish, signal: AbortSignal): Promise<BootstrapReport> {
  const call = { command: 'bootstrap', dataDir: wish.dataDir } as const;
  return calledByPatroni(call, needs, signal, (owner, bounded) => bringBack(needs, wish, owner, bounded));
}

async function bringBack(
  { config, system }: CopyingNeeds,
  wish: BootstrapWish,
  owner: Identity,
  signal: AbortSignal,
): Promise<BootstrapReport> {
  const begunMs = system.clock.monotonicMs();
  const { dataDir, oldData, point } = wish;
  await requireNoDatabase(dataDir);
  if ((await clusterEntries(dataDir)).length > 0) await setMemberAside({ dataDir, backupDir: config.backupDir, owner }, system); // Half of a copy.
  const { label, sizeBytes } = await planWhole({ config, system }, wish, signal);
  const backups = createBackups({ config, system, dataDir: oldData ?? dataDir, owner });
  const { of, backup } = requireBase(await findBackup({ backups }, label, signal));
  const damage = await stageWhole(of, backup, { directory: dataDir, point }, signal);
  if (damage !== undefined) throw new DbkitError('data.corrupt', damage, { hint: 'name another backup; `dbkit backup list` shows them' });
  await layHistories(
    { dataDir, oldData, backupDir: config.backupDir, path: backup.path, systemIdentifier: backup.systemIdentifier },
    owner,
    system,
    signal,
  );
  return { label, dataDir, sizeBytes, durationMs: Math.round(system.clock.monotonicMs() - begunMs) };
}

async function requireNoDatabase(dataDir: string): Promise<void> {
  if (typeof (await serverOn(dataDir)) !== 'object' && !(await isThere(join(dataDir, 'global/pg_control')))) return;
  throw new DbkitError('file.exists', `${dataDir} holds a database`, {
    hint: 'a cluster is only begun in an empty directory; `dbkit ha restore` sets aside what is there; nothing was changed',
  });
}

interface Laying {
  readonly dataDir: string;
  readonly oldData: string | undefined;
  readonly backupDir: string;
  readonly path: string;
  readonly systemIdentifier: string | undefined;
}

/** Of every timeline that is known: the server must not choose the number of another one (timeline.c, findNewestTimeLine). */
async function layHistories(
  { dataDir, oldData, backupDir, path, systemIdentifier }: Laying,
  owner: Identity,
  { files }: Pick<System, 'files'>,
  signal: AbortSignal,
): Promise<void> {
  const archive = openArchive(backupDir, systemIdentifier ?? '0', files);
  const folders = [oldData, path].flatMap((one) => (one === undefined ? [] : [join(one, 'pg_wal')]));
  const places = { archive, folders, systemIdentifier: archive.systemIdentifier, segmentSizeBytes: 0 };
  for (const [timeline, text] of await historiesOf(places, signal)) {
    const to = join(dataDir, 'pg_wal', historyFile(timeline));
    if (!(await isThere(to))) await files.write(to, text, { mode: 0o600, owner });
  }
}

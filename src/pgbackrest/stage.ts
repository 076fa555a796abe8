import { createHash } from 'node:crypto';
import { appendFile, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backup, BaseBackups, ReachedEnd } from '../backups/backup.ts';
import { readCluster } from '../backups/base/cluster.ts';
import { withoutRecoverySettings } from '../backups/base/recovery-setup.ts';
import { refuse } from '../backups/engine-refusals.ts';
import { formatLsn } from '../formats/wal-segment.ts';
import { DbkitError, unlessMissing } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { bytes } from '../kernel/units.ts';
import { roomAt } from '../machine/disk-usage.ts';
import { namesIn } from '../machine/is-there.ts';
import { readPlainText } from '../machine/plain-file.ts';
import { readMark } from '../wal/mark.ts';
import { recoverySettings, restoreCommand } from './archive.ts';
import { readInfo, requireSet } from './catalog.ts';
import type { RestBackup } from './info.ts';
import { layWal } from './lay-wal.ts';
import { findRestPoint, timelineOf } from './points.ts';
import type { Rest, RestNeeds } from './program.ts';
import { sendRest } from './send-rest.ts';

type Target = Parameters<BaseBackups['stage']>[1];

const RESTORE_MS = 24 * 3_600_000;
const RESERVE_BYTES = 64 * 2 ** 20;

/**
 * Lets pgBackRest fill an empty directory, and sets its recovery up: to the backup's end, to a moment, or, where the instance is gone, as far as the
 * repository and its pg_wal lead. How far that is only its start tells.
 */
export async function stageSet(
  rest: Rest,
  needs: RestNeeds,
  { label }: Backup,
  target: Target,
  signal: AbortSignal,
): Promise<{ readonly reached: ReachedEnd | undefined; readonly complete: boolean }> {
  const { config, system, owner } = needs;
  const { directory, point } = target;
  const { dataDir } = config.postgresql;
  if (point) await sendRest(config.postgresql, system, signal);
  const found = point && (await findRestPoint(rest, needs, { request: point, label }, signal));
  const backup = found?.backup ?? (await requireSet(rest, { label }, signal));
  await requireTarget(directory, dataDir, backup);
  await system.files.makeDirectory(directory, { mode: 0o700, owner });
  const fetching = await fetchingFor(rest, needs, directory);
  // A restore of its own has a lock of its own: it may wait neither for a backup nor for the server's archiving.
  const args = [`--pg1-path=${directory}`, `--set=${backup.set}`, '--type=none', `--lock-path=${fetching}/lock`];
  await rest.run('restore', { args, timeoutMs: RESTORE_MS }, signal);
  system.reached('restore.files-copied');
  if ((await namesIn(join(directory, 'pg_tblspc'))).length > 0) throw refuse('pgbackrest-leaves-tablespaces');
  await setUp(rest, needs, { target, backup, timeline: found?.timeline, fetching }, signal);
  if (target.walFrom === undefined && target.gatherIn === undefined) return { reached: undefined, complete: false };
  const mark = await readMark(config.stateDir, dataDir, backup.systemIdentifier);
  const owedLsn = mark === undefined ? null : formatLsn(mark.flushedLsn);
  const phrase = `the end of the WAL in the repository of pgBackRest and in pg_wal${owedLsn === null ? '' : ` (it had come to LSN ${owedLsn})`}`;
  return { reached: { at: null, lsn: backup.stopLsn, owedLsn, phrase }, complete: false };
}

async function requireTarget(directory: string, dataDir: string, { sizeBytes }: RestBackup): Promise<void> {
  if ((await namesIn(directory)).length > 0)
    throw new DbkitError('file.exists', `${directory} is not empty`, { hint: 'name an empty or a new directory' });
  // Replaying what makes a tablespace would write to where the server has it now.
  if ((await namesIn(join(dataDir, 'pg_tblspc'))).length > 0) throw refuse('pgbackrest-leaves-tablespaces'); // What cannot be read may hold some.
  const { freeBytes } = await roomAt(directory);
  if (freeBytes < sizeBytes + RESERVE_BYTES)
    throw new DbkitError('volume.full', `the restore needs ${bytes(sizeBytes)} and ${directory} has ${bytes(freeBytes)} left`, {
      hint: 'free some space on that volume; nothing was changed',
    });
}

/** A day: no recovery that still goes on has fetched nothing for so long. */
const LEFT_MS = 86_400_000;

/** For what this restore fetches ahead; those of restores that are over are removed. */
async function fetchingFor(rest: Rest, { system }: RestNeeds, directory: string): Promise<string> {
  const { places } = await rest.prepare();
  for (const name of await namesIn(places.fetching)) {
    const path = join(places.fetching, name);
    const seen = await stat(path).catch(unlessMissing);
    if (seen && system.clock.now().getTime() - seen.mtimeMs > LEFT_MS) await rm(path, { recursive: true, force: true });
  }
  const own = join(places.fetching, createHash('sha256').update(directory).digest('hex').slice(0, 16));
  await rm(own, { recursive: true, force: true });
  return own;
}

interface SetUp {
  readonly target: Target;
  readonly backup: RestBackup;
  readonly timeline: number | undefined;
  readonly fetching: string;
}

/** Written last is what makes it recover: a restore that was cut off before is not swapped in, and its folder is removed. */
async function setUp(rest: Rest, needs: RestNeeds, { target, backup, timeline, fetching }: SetUp, signal: AbortSignal): Promise<void> {
  const { config, system, owner } = needs;
  const { directory, point, walFrom, gatherIn, leavesRecovery = false } = target;
  const { dataDir } = config.postgresql;
  for (const name of ['recovery.signal', 'standby.signal']) await rm(join(directory, name), { force: true });
  const { segmentSizeBytes } = await readCluster(directory, signal);
  const from = walFrom ?? (point === undefined ? undefined : join(dataDir, 'pg_wal'));
  const isOwn = walFrom !== undefined || (await isOf(dataDir, backup, signal));
  if (from !== undefined && isOwn) {
    const segments = await layWal({ from, directory, backup, segmentSizeBytes, owner: system.self.uid === 0 ? owner : undefined }, signal);
    system.log.info('restore.wal-laid', 'WAL that pg_wal has is laid beside the backup', { segments });
  }
  const conf = join(directory, 'postgresql.auto.conf');
  const text = (await readPlainText(conf).catch(unlessMissing)) ?? '';
  const kept = withoutRecoverySettings(text);
  if (kept !== text) await system.files.write(conf, kept, { mode: 0o600, owner });
  if (leavesRecovery) return;
  const isLast = walFrom !== undefined || gatherIn !== undefined; // The instance is gone: as far as WAL leads.
  const furthest = !isLast ? undefined : { to: 'latest' as const, value: '', exclusive: false, timeline: undefined };
  const asked = point ?? furthest;
  const line = timeline ?? (asked === undefined ? undefined : await newestTimeline(rest, needs, backup, signal));
  await appendFile(conf, recoverySettings({ point: asked, timeline: line, command: restoreCommand(await rest.prepare(), fetching) }));
  await system.files.write(join(directory, 'recovery.signal'), '', { mode: 0o600, owner });
  const file = await open(conf, 'r');
  await file.sync().finally(() => file.close());
  await system.files.syncDirectory(directory);
}

/** The timeline that the instance was last seen on, by its mark; where that is gone too, the newest that the repository has of it. */
async function newestTimeline(
  rest: Rest,
  { config }: RestNeeds,
  { systemIdentifier, timeline }: RestBackup,
  signal: AbortSignal,
): Promise<number> {
  const mark = await readMark(config.stateDir, config.postgresql.dataDir, systemIdentifier);
  if (mark !== undefined) return Math.max(mark.timeline, timeline);
  const { archives } = await readInfo(rest, signal);
  const last = archives.flatMap((one) => (one.systemIdentifier === systemIdentifier && one.last !== null ? [timelineOf(one.last)] : []));
  return Math.max(timeline, ...last);
}

async function isOf(dataDir: string, { systemIdentifier }: RestBackup, signal: AbortSignal): Promise<boolean> {
  const cluster = await readCluster(dataDir, signal).catch(unlessOwnTrouble);
  signal.throwIfAborted();
  return cluster?.systemIdentifier === systemIdentifier;
}

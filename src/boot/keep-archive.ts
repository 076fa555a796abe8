import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { wantsWal } from '../config/wal-settings.ts';
import { settingOf } from '../formats/conf.ts';
import { parseControlFile } from '../formats/control-file.ts';
import { isInitializedByDbkit } from '../instance/initialize/configuration.ts';
import { connectForServer, type Local } from '../instance/local.ts';
import { walKeepBytes } from '../instance/server/wal-keep.ts';
import { present } from '../instance/volume.ts';
import { bound } from '../kernel/deadline.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Child } from '../kernel/machine.ts';
import { sizeBytes } from '../kernel/units.ts';
import { roomAt } from '../machine/disk-usage.ts';
import { readPlain } from '../machine/plain-file.ts';
import { keepRest } from '../wal/keep-rest.ts';
import { keepWal } from '../wal/keep-wal.ts';
import type { WalKeeping } from '../wal/keeper-life.ts';
import { readMark } from '../wal/mark.ts';
import { dropSlot, OWN_SLOT } from '../wal/slot.ts';
import type { PostgresqlOptions } from './hold.ts';
import { keepStanza } from './keep-stanza.ts';
import { keepingOf } from './keeping-of.ts';

/** The work that is left for the archive once the server has stopped cleanly, while the data is still held. Never rejects. */
export interface Archived {
  finish(): Promise<void>;
}

const MIB = 1024 * 1024;
const QUESTION_MS = 10_000;
const FINISH_MS = 5_000;
const NAMES = 'synchronous_standby_names';

/** Is the WAL of this instance kept? Unless somebody has decided, of those that dbkit has initialised. */
const isKept = async ({ volume }: Local, config: KeptConfig): Promise<boolean> =>
  wantsWal(config) ?? (await isInitializedByDbkit(volume.dataDir));

type KeptConfig = Pick<Config, 'wal' | 'tier' | 'backup'>;

/**
 * `max_slot_wal_keep_size`, for where dbkit dies and its slot is left: WAL for it never takes more than that, nor the last fifth of the volume. Whoever
 * has set it himself is left alone.
 */
export async function slotLimit(local: Local, config: KeptConfig): Promise<Readonly<Record<string, string>>> {
  const { dataDir } = local.volume;
  if (!(await isKept(local, config))) return {};
  if ('max_slot_wal_keep_size' in local.settings.settings) return {};
  if ((await settingOf(dataDir, 'max_slot_wal_keep_size')) !== undefined) return {};
  const keep = walKeepBytes(sizeBytes(config.wal.maxLag), await roomAt(join(dataDir, 'pg_wal')));
  return { max_slot_wal_keep_size: `${Math.floor(keep / MIB)}MB` };
}

/**
 * `synchronous_standby_names` of a server whose commits wait for the archive. On the command line, so that without dbkit nobody waits. Whoever has
 * named standbys himself is left alone: the archive counts where he names it too.
 */
export async function archiveAsStandby(local: Local, { wal: { synchronous } }: KeptConfig): Promise<Readonly<Record<string, string>>> {
  if (!synchronous) return {};
  const { log } = local.system;
  const names = local.settings.settings[NAMES] ?? (await settingOf(local.volume.dataDir, NAMES));
  if (names === undefined || String(names).trim() === '') return { [NAMES]: OWN_SLOT };
  if (!String(names).includes(OWN_SLOT))
    log.warn('wal.not-synchronous', `commits do not wait for the archive: ${NAMES} is '${names}', and does not name ${OWN_SLOT}`);
  return {};
}

/** Keeps the WAL for as long as the server lives; lets go of the slot where it is kept no more. Never rejects. */
export async function archiveWhileRunning(local: Local, options: PostgresqlOptions, child: Child): Promise<Archived> {
  const none = { finish: async () => undefined };
  try {
    if (!(await isKept(local, options.config))) {
      await forgetSlot(local);
      if (options.config.backup.engine === 'pgbackrest') {
        wakeCheckpointer(child);
        void keepStanza(local, options, child);
      }
      return none;
    }
    const keeping = await keepingHere(local, options);
    if (keeping === undefined) return none;
    await keepWal(keeping, child);
    return { finish: () => finish(keeping) };
  } catch (cause) {
    local.system.log.error('wal.failing', `the WAL is not kept in the archive: ${wordsOf(cause)}`);
    return none;
  }
}

/**
 * The checkpointer closes the segments of a quiet server (archive_timeout). From 15 on it runs while a server still recovers, decides that it has nothing
 * to close, and sleeps for as long as checkpoint_timeout (checkpointer.c, CheckpointerMain): a reload wakes it.
 */
const wakeCheckpointer = (child: Child): void => child.kill('SIGHUP');

async function keepingHere(local: Local, { config, wantBackup }: PostgresqlOptions): Promise<WalKeeping | undefined> {
  const { dataDir } = local.volume;
  const read = parseControlFile(await readPlain(join(dataDir, 'global/pg_control')));
  if ('problem' in read) return undefined;
  const { systemIdentifier, walSegmentSizeBytes: segmentSizeBytes } = read.control;
  return keepingOf({ ...local, dataDir, systemIdentifier, segmentSizeBytes }, config, (reason) => wantBackup?.(reason));
}

/** The checkpoint of the shutdown is the end of the WAL; the mark has just noted it. */
async function finish(keeping: WalKeeping): Promise<void> {
  const { system, stateDir, dataDir, systemIdentifier } = keeping;
  const limit = bound([], FINISH_MS);
  try {
    const mark = await readMark(stateDir, dataDir, systemIdentifier);
    if (mark?.clean) await keepRest(keeping, mark, limit.signal);
  } catch (cause) {
    system.log.warn('wal.unfinished', `the end of the WAL is not in the archive yet, the next start brings it there: ${wordsOf(cause)}`);
  } finally {
    limit.release();
  }
}

/** Switched off: nothing may hold WAL back any more. */
async function forgetSlot(local: Local): Promise<void> {
  if (!(await present(join(local.volume.dataDir, 'pg_replslot', OWN_SLOT)))) return;
  const limit = bound([], QUESTION_MS);
  try {
    const session = await connectForServer(local, limit.signal);
    await dropSlot(session).finally(() => session.end());
    local.system.log.info('wal.slot-dropped', 'the WAL is no longer archived, so its replication slot was dropped');
  } finally {
    limit.release();
  }
}

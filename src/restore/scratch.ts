import { access, constants, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseBackups, FoundBackup } from '../backups/backup.ts';
import type { PointRequest } from '../backups/base/points/point.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import type { Config } from '../config/config.ts';
import { findBinaries } from '../instance/binaries.ts';
import { isOn } from '../instance/guard/lock.ts';
import { occupy } from '../instance/guard/occupy.ts';
import type { Local } from '../instance/local.ts';
import { serverOwner } from '../instance/owner.ts';
import { copySettings, onPrivateServer } from '../instance/server/private-server.ts';
import { volumeOf } from '../instance/volume.ts';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import type { HeldLock, Identity, System } from '../kernel/machine.ts';
import { isThere } from '../machine/is-there.ts';

/** A restored copy that serves on a private socket, and how long it took to get there. */
export interface Scratch {
  readonly local: Local;
  readonly socketDir: string;
  readonly restoreMs: number;
  /** From the server's start until it let somebody in. */
  readonly startMs: number;
}

const PREFIX = 'scratch_';
/** Each lost one is somebody else's clearing up, which is over in a moment. */
const ATTEMPTS_MAX = 20;

/** In the repository, where files can be cloned and room was made for backups; beside dbkit's state where the repository takes no writes. */
async function scratchRoot({ backupDir, stateDir }: Config, owner: Identity, { files }: System): Promise<string> {
  const root = join(backupDir, '.partial');
  try {
    await files.makeDirectory(root, { mode: 0o700, owner });
    await access(root, constants.W_OK);
    return root;
  } catch (cause) {
    if (!['EROFS', 'EACCES'].includes(errnoOf(cause) ?? '')) throw cause;
  }
  const own = join(stateDir, 'scratch');
  await files.makeDirectory(own, { mode: 0o700, owner });
  return own;
}

/** A folder of the owner's in the repository. */
interface ScratchFolder {
  readonly path: string;
  readonly owner: Identity;
  readonly lock: HeldLock;
}

/** Removes the copies that killed runs have left, and ends the servers on them. */
export async function clearLeftCopies(
  { config, system }: Pick<PostgresqlOptions, 'config' | 'system'>,
  signal: AbortSignal,
): Promise<void> {
  const owner = await serverOwner(config.postgresql, system);
  for (const root of [join(config.backupDir, '.partial'), join(config.stateDir, 'scratch')]) await clearLeft(root, owner, system, signal);
}

async function clearLeft(root: string, owner: Identity, system: System, signal: AbortSignal): Promise<void> {
  const names = await readdir(root).catch(() => []); // There is none yet, or it is not this user's to look into.
  for (const name of names.filter((entry) => entry.startsWith(PREFIX))) {
    const left = await occupy(volumeOf(join(root, name)), owner, system, signal).catch(() => undefined); // Somebody's who still works with it.
    if (left) await clear(join(root, name), left);
  }
}

async function clear(path: string, lock: HeldLock): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await lock.release();
}

/** A folder for as long as `work` takes. Those that killed runs have left, and the servers on them, are cleared up first. */
export async function inScratchFolder<T>(
  { config, system }: Pick<PostgresqlOptions, 'config' | 'system'>,
  signal: AbortSignal,
  work: (folder: ScratchFolder) => Promise<T>,
): Promise<T> {
  const owner = await serverOwner(config.postgresql, system);
  const root = await scratchRoot(config, owner, system);
  await clearLeft(root, owner, system, signal);
  const { path, lock } = await makeOwn(root, owner, system, signal);
  try {
    return await work({ path, owner, lock });
  } finally {
    await clear(path, lock);
  }
}

/** Until it is locked a folder is taken for one that a killed run left: then whoever clears up has it, and another one is made. */
async function makeOwn(
  root: string,
  owner: Identity,
  system: System,
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly lock: HeldLock }> {
  for (let attempt = 1; ; attempt += 1) {
    const path = join(root, `${PREFIX}${system.clock.now().getTime()}_${process.pid}_${attempt}`);
    await system.files.makeDirectory(path, { mode: 0o700, owner });
    try {
      const lock = await occupy(volumeOf(path), owner, system, signal);
      if (await isOn(lock, path)) return { path, lock };
      await lock.release();
      throw new DbkitError('lock.held', `${path} was removed before it was locked`, { hint: 'try again; nothing was changed' });
    } catch (cause) {
      const isTaken = (cause instanceof DbkitError && cause.code === 'lock.held') || !(await isThere(path));
      if (!isTaken || attempt >= ATTEMPTS_MAX) throw cause;
    }
  }
}

/**
 * Restores a backup into a folder of the repository, starts it where nobody else can reach it, and removes it when `work` is over, whatever
 * happens. The instance is not touched.
 */
export async function onScratchCopy<T>(
  options: PostgresqlOptions,
  { backup, of, point }: FoundBackup<BaseBackups> & { readonly point?: PointRequest | undefined },
  signal: AbortSignal,
  work: (scratch: Scratch) => Promise<T>,
): Promise<T> {
  const { config, system, passwordIsGiven } = options;
  const { postgresql: settings, stateDir, backupDir } = config;
  const binaries = await findBinaries({ major: backup.pgVersion, directory: settings.binDir }, system, signal);
  return inScratchFolder(options, signal, async ({ path, owner, lock }) => {
    const volume = volumeOf(path);
    const logFile = join(path, 'server.log');
    const local: Local = { settings, passwordIsGiven, volume, stateDir, backupDir, logFile, owner, binaries, system };
    const begunMs = system.clock.monotonicMs();
    await of.stage(backup, { directory: volume.staged, walFrom: undefined, durable: false, point }, signal);
    const restoredMs = system.clock.monotonicMs();
    const server = {
      dataDir: volume.staged,
      lock,
      settings: copySettings(binaries.major, { throwAway: true }),
      what: `the copy of ${backup.label}`,
    };
    return onPrivateServer(local, { ...server, trusts: true }, signal, (socketDir) =>
      work({ local, socketDir, restoreMs: restoredMs - begunMs, startMs: system.clock.monotonicMs() - restoredMs }),
    );
  });
}

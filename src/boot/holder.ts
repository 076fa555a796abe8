import { readdir, rm } from 'node:fs/promises';
import { sources } from '../backups/find-baseline.ts';
import { type Inspection, inspect } from '../inspection/inspect.ts';
import { findBinaries } from '../instance/binaries.ts';
import { isOn } from '../instance/guard/lock.ts';
import { occupy } from '../instance/guard/occupy.ts';
import { refuseForeign, refuseFullVolume } from '../instance/guard/preflight.ts';
import { claimDirectory, claimLogDirectory, serverOwner } from '../instance/owner.ts';
import { writableLog } from '../instance/server-log-file.ts';
import { volumeOf } from '../instance/volume.ts';
import { DbkitError, isDenied } from '../kernel/errors.ts';
import { finishReplacement } from '../recovery/resume.ts';
import type { Hold, PostgresqlOptions } from './hold.ts';

/** Lends the hold on the data. */
export interface Holder {
  /** With everything held that may be touched; the hold goes on afterwards, and is let go when `work` fails. */
  holding<T>(signal: AbortSignal, work: (held: Hold) => Promise<T>): Promise<T>;
  /** With the hold there is, or one for as long as `work` takes. What is staged beside the data survives it. */
  borrow<T>(signal: AbortSignal, work: (held: Hold) => Promise<T>): Promise<T>;
  release(): Promise<void>;
}

/** The hold is taken when it is first needed. */
export function createHolder(options: PostgresqlOptions): Holder {
  let hold: Hold | undefined;
  const release = async (): Promise<void> => {
    await hold?.lock.release();
    hold = undefined;
  };
  /** Whatever fails lets go of the lock: a person, or another dbkit, may then look and mend. */
  const holding = async <T>(signal: AbortSignal, work: (held: Hold) => Promise<T>): Promise<T> => {
    try {
      if (hold && !(await isOn(hold.lock, options.config.postgresql.dataDir))) await release(); // The directory was removed and made again: the lock is on the one that is gone.
      hold ??= await takeHold(options, signal);
      return await work(hold);
    } catch (cause) {
      await release();
      throw cause;
    }
  };
  return {
    release,
    holding,
    borrow: async (signal, work) => {
      if (hold) return work(hold);
      try {
        hold = await takeHold(options, signal, { keepsStaged: true });
        return await work(hold);
      } finally {
        await release();
      }
    },
  };
}

/** Everything that must be true before the data may be touched. Refusals come first and change nothing. */
async function takeHold(
  { config, system, passwordIsGiven, backups }: PostgresqlOptions,
  signal: AbortSignal,
  { keepsStaged = false }: { keepsStaged?: boolean } = {},
): Promise<Hold> {
  const { postgresql: settings, stateDir, logDir, backupDir } = config;
  await refuseForeign(settings.dataDir);
  const owner = await serverOwner(settings, system);
  await claimDirectory(settings.dataDir, owner, 0o700, system, signal);
  await refuseFullVolume(settings.dataDir);
  const volume = volumeOf(settings.dataDir);
  const lock = await occupy(volume, owner, system, signal);
  system.trace('lock.held');
  try {
    await claimDirectory(backupDir, owner, 0o700, system, signal);
    await claimDirectory(settings.socketDir, owner, 0o755, system, signal);
    await claimLogDirectory(logDir, owner, system, signal);
    await system.files.ownDirectory(stateDir, { mode: 0o755 });
    if (!(await isClosed(settings.dataDir))) await clearUp({ volume, stateDir, backupDir, owner, system }, keepsStaged); // Else once its mode is mended, when the hold is taken anew.
    const inspection = await inspect(
      settings.dataDir,
      { stateDir, deep: false, ...sources(backups, { backupDir, system }) },
      system,
      signal,
    );
    system.trace('data.inspected');
    const major = inspection.report.major ?? settings.version;
    const binaries = await findBinaries({ major, directory: settings.binDir, forInstance: true }, system, signal).catch(
      (cause: unknown) => {
        if (!keepsStaged || !(cause instanceof DbkitError && cause.code === 'data.version')) throw cause;
        return findBinaries({ major: undefined, directory: settings.binDir }, system, signal); // For data that is replaced: nothing starts on it.
      },
    );
    const local = {
      settings,
      passwordIsGiven,
      volume,
      stateDir,
      backupDir,
      logFile: await writableLog('postgresql.log', config, system),
      owner,
      binaries,
      lock,
      unasked: new Map(),
      hungUp: new Set<string>(),
      system,
    };
    let fresh: Inspection | undefined = inspection;
    const firstLook = (): Inspection | undefined => {
      const once = fresh;
      fresh = undefined;
      return once;
    };
    return { local, lock, spoiled: new Set(), firstLook };
  } catch (cause) {
    await lock.release();
    throw cause;
  }
}

/** Finishes what an earlier run began, and removes what a killed one had staged and not yet counted: there is no journal of that any more. */
async function clearUp(local: Parameters<typeof finishReplacement>[0], keepsStaged: boolean): Promise<void> {
  const { volume } = local;
  await finishReplacement(local);
  for (const staged of [volume.incoming, volume.temporary, ...(keepsStaged ? [] : [volume.staged])])
    await rm(staged, { recursive: true, force: true });
}

/** The server's user may not read it: nothing in it is replaced before that is mended. */
const isClosed = async (directory: string): Promise<boolean> =>
  readdir(directory).then(
    () => false,
    (cause: unknown) => isDenied(cause),
  );

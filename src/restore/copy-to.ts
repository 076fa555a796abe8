import { appendFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseBackups, FoundBackup } from '../backups/backup.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { findBinaries } from '../instance/binaries.ts';
import type { Local } from '../instance/local.ts';
import { serverOwner } from '../instance/owner.ts';
import { volumeOf } from '../instance/volume.ts';
import { DbkitError, unlessMissing } from '../kernel/errors.ts';
import { bootTest } from './boot-test.ts';
import type { Copies, CopyReport } from './copies-contract.ts';

/** A copy that stays must not act like the original: it would archive its own WAL under the original's names. */
const independence = (port: number | undefined): string =>
  [
    '',
    '# dbkit: this is a copy. It archives nothing until you say otherwise.',
    "archive_mode = 'off'",
    ...(port === undefined ? [] : [`port = ${port}`]),
    '',
  ].join('\n');

/** Restores into another place and leaves the instance alone. Rejects with `file.exists` when something is there. */
export async function copyTo(
  { config, system, passwordIsGiven }: PostgresqlOptions,
  { backup, of }: FoundBackup<BaseBackups>,
  { directory, port, bootTest: wanted, point }: Parameters<Copies['copyTo']>[1],
  signal: AbortSignal,
): Promise<CopyReport> {
  const begunMs = system.clock.monotonicMs();
  const { postgresql: settings, stateDir, backupDir } = config;
  const owner = await serverOwner(settings, system);
  const binaries =
    wanted === false ? undefined : await findBinaries({ major: backup.pgVersion, directory: settings.binDir }, system, signal);
  const existed = await requireEmpty(directory);
  try {
    await system.files.makeDirectory(directory, { mode: 0o700, owner }); // Where only root may make it, root does, and hands it over.
    await of.stage(backup, { directory, walFrom: undefined, point }, signal);
    await appendFile(join(directory, 'postgresql.auto.conf'), independence(port));
    const local: Local | undefined = binaries && {
      settings,
      passwordIsGiven,
      volume: volumeOf(directory),
      stateDir,
      backupDir,
      logFile: join(config.logDir, 'postgresql.log'),
      owner,
      binaries,
      system,
    };
    const databases = local ? await bootTest(local, directory, undefined, signal) : null;
    return {
      label: backup.label,
      directory,
      port: port ?? null,
      sizeBytes: backup.sizeBytes,
      databases,
      because: wanted === undefined ? 'a copy is started once unless --no-boot-test says otherwise' : 'asked for',
      durationMs: Math.round(system.clock.monotonicMs() - begunMs),
    };
  } catch (thrown) {
    for (const name of await readdir(directory).catch(() => [])) await rm(join(directory, name), { recursive: true, force: true });
    if (!existed) await rm(directory, { recursive: true, force: true });
    throw thrown;
  }
}

/** True if the directory is there already. */
async function requireEmpty(directory: string): Promise<boolean> {
  const names = await readdir(directory).catch(unlessMissing);
  if (names === undefined || names.length === 0) return names !== undefined;
  throw new DbkitError('file.exists', `${directory} is not empty`, { hint: 'name an empty or a new directory; nothing was changed' });
}

import { constants } from 'node:fs';
import { copyFile, readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Hold } from '../boot/hold.ts';
import type { Binaries } from '../instance/binaries.ts';
import { withPrivateFolder } from '../instance/server/private-server.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { OldCluster } from './old-cluster.ts';

/** Terabytes are copied within a day; a hang is not waited for. */
const TIMEOUT_MS = 24 * 3_600_000;
const WORDS_MAX = 8;

/** True where files of this directory can share their blocks with the old ones: tried, as only the file system knows. */
export async function canClone(dataDir: string): Promise<boolean> {
  const probe = join(dataDir, '.dbkit', 'clone-probe');
  try {
    await copyFile(join(dataDir, 'PG_VERSION'), probe, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    await rm(probe, { force: true });
  }
}

/** Pure. Ports do not matter: no server listens on an address, and their sockets lie in a folder of dbkit's own. */
export function pgUpgradeArguments(given: {
  readonly old: Binaries;
  readonly next: Binaries;
  readonly dataDir: string;
  readonly staged: string;
  readonly bootstrap: string;
  readonly folder: string;
  readonly hba: string;
  readonly jobs: number;
  readonly clone: boolean;
}): string[] {
  const { old, next, dataDir, staged, bootstrap, folder, hba, jobs, clone } = given;
  const options = `-c hba_file=${hba} -c autovacuum=off -c ssl=off -c log_statement=none`;
  return [
    `--old-bindir=${old.directory}`,
    `--new-bindir=${next.directory}`,
    `--old-datadir=${dataDir}`,
    `--new-datadir=${staged}`,
    `--username=${bootstrap}`,
    ...(next.major >= 13 ? [`--socketdir=${folder}`] : []),
    '--old-port=50432',
    '--new-port=50433',
    `--old-options=${options}`,
    `--new-options=${options} -c archive_mode=off`, // As quietBeside: its segments would take the names of the old cluster's next ones.
    `--jobs=${jobs}`,
    ...(clone ? ['--clone'] : []),
  ];
}

/**
 * pg_upgrade from the old data into the new cluster beside it: first its own checks, then the work. The old files are read, never linked, so that the
 * old cluster stays whole. Rejects with `recovery.refused` and what its checks found.
 */
export async function upgradeByFiles(
  { local, lock }: Hold,
  {
    old,
    next,
    bootstrap,
    clone,
  }: { readonly old: Binaries; readonly next: Binaries; readonly bootstrap: OldCluster['bootstrap']; readonly clone: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { system, volume, owner } = local;
  await withPrivateFolder(local, async ({ folder, hba }) => {
    const args = pgUpgradeArguments({
      old,
      next,
      dataDir: volume.dataDir,
      staged: volume.staged,
      bootstrap,
      folder,
      hba,
      jobs: Math.min(availableParallelism(), 8),
      clone,
    });
    const run = (more: readonly string[]) =>
      system.runner.attempt(
        {
          file: join(next.directory, 'pg_upgrade'),
          args: [...args, ...more],
          env: { ...system.childEnvironment, LC_ALL: 'C' },
          cwd: folder, // Before 15 its logs and lists lie where it is run.
          as: owner,
          lock,
          timeoutMs: TIMEOUT_MS,
        },
        signal,
      );
    const checked = await run(['--check']);
    if (checked.exitCode !== 0) throw await refused('the checks of pg_upgrade refuse', checked, [volume.staged, folder]);
    system.log.info(
      'upgrade.files',
      `pg_upgrade takes the data over to PostgreSQL ${next.major} (${clone ? 'sharing blocks' : 'by copies'})`,
    );
    const done = await run([]);
    if (done.exitCode !== 0) throw await refused('pg_upgrade failed', done, [volume.staged, folder]);
  });
}

/** Its last words, and the lists that it names. */
async function refused(
  what: string,
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
  folders: readonly string[],
): Promise<DbkitError> {
  const said = `${stdout}\n${stderr}`
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/\bok$/.test(line) && !/^[-*]+$/.test(line));
  const lists = (await Promise.all(folders.map(findLists))).flat();
  return new DbkitError('recovery.refused', `${what}:\n${[...said.slice(-WORDS_MAX), ...lists].join('\n')}`, {
    hint: 'mend that with the old server, or use --method dump; nothing was changed',
  });
}

/** pg_upgrade_output.d/…/*.txt in the new data directory (from 15 on), or *.txt where it was run. */
async function findLists(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => [] as string[]);
  const lists = names.filter((name) => name.endsWith('.txt') && (name.includes('pg_upgrade_output.d') || !name.includes('/')));
  const texts = await Promise.all(lists.map((name) => readFile(join(folder, name), 'utf8').catch(() => '')));
  return texts.flatMap((text) =>
    text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(0, WORDS_MAX),
  );
}

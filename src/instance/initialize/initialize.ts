import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { wordsOf } from '../../kernel/errors.ts';
import type { HeldLock } from '../../kernel/machine.ts';
import { syncFileSystem } from '../../machine/sync-file-system.ts';
import type { Local } from '../local.ts';
import { ensureApplication } from '../server/application.ts';
import { onPrivateServer } from '../server/private-server.ts';
import { clusterEntries, present } from '../volume.ts';
import { configure } from './configuration.ts';
import { findInitdbScripts, runInitdbScripts } from './initdb-scripts.ts';
import { markInitializing, neverServed } from './marker.ts';
import { splitWords } from './split-words.ts';
import { inTemporaryFolder } from './temporary-folder.ts';

const INITDB_TIMEOUT_MS = 10 * 60_000;
const FALLBACK_LOCALE = 'C';

/**
 * Makes a complete new cluster in `incoming`, beside whatever PGDATA holds: initdb, configuration and, when there are init scripts, one run
 * of them on a server that only dbkit can reach (not where a dump brings what they once made). Nothing outside `incoming` is touched. Its files are not yet durable (see syncCluster).
 */
export async function stageNewCluster(
  local: Local,
  { lock, runsScripts }: { readonly lock: HeldLock; readonly runsScripts: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { volume, system, owner } = local;
  await rm(volume.incoming, { recursive: true, force: true });
  await system.files.makeDirectory(volume.incoming, { mode: 0o700, owner });
  system.reached('initialize.marked');
  await runInitdb(local, signal);
  await configure(local);
  await markInitializing(volume, owner, { replaced: null }, system);
  system.reached('initialize.staged');
  const scripts = runsScripts ? await findInitdbScripts(local.settings.initScriptsDir) : [];
  if (scripts.length > 0) {
    await onPrivateServer(local, { dataDir: volume.incoming, lock, trusts: true, what: 'the new cluster' }, signal, async (socketDir) => {
      await ensureApplication(local, signal, socketDir);
      await runInitdbScripts(local, scripts, socketDir, signal);
    });
  }
  system.reached('initialize.scripts-run');
}

/** initdb's own fsync pass is skipped (--no-sync): one syncfs before the new cluster counts does the same work once. */
async function runInitdb(local: Local, signal: AbortSignal): Promise<void> {
  const { settings, system, owner, binaries, volume } = local;
  const secret = settings.superuserPassword?.reveal();
  const args = (locale: string, passwordFile: string | undefined): string[] => [
    `--pgdata=${volume.incoming}`,
    `--username=${settings.superuser}`,
    `--encoding=${settings.encoding}`,
    `--locale=${locale}`,
    '--data-checksums',
    '--no-sync',
    `--auth-local=${settings.localAuthMethod}`,
    '--auth-host=scram-sha-256',
    ...(passwordFile ? [`--pwfile=${passwordFile}`] : []),
    ...splitWords(settings.initdbArgs),
  ];
  const initdb = (locale: string, passwordFile?: string): Promise<unknown> =>
    system.runner.run(
      {
        file: join(binaries.directory, 'initdb'),
        args: args(locale, passwordFile),
        env: { ...system.childEnvironment },
        as: owner,
        lock: local.lock,
        timeoutMs: INITDB_TIMEOUT_MS,
      },
      signal,
    );
  const run = (locale: string): Promise<unknown> =>
    secret === undefined
      ? initdb(locale)
      : inTemporaryFolder(local, async (directory) => {
          const file = join(directory, 'password');
          await system.files.write(file, `${secret}\n`, { mode: 0o600, owner });
          return initdb(locale, file);
        });
  const locale = settings.locale ?? system.childEnvironment['LANG'] ?? 'C.UTF-8';
  await run(locale).catch(async (cause: unknown) => {
    if (settings.locale !== undefined || !/locale/i.test(wordsOf(cause))) throw cause;
    system.log.warn('initialize.locale', `the locale ${locale} is not installed here; the new cluster uses ${FALLBACK_LOCALE}`);
    await rm(volume.incoming, { recursive: true, force: true });
    await system.files.makeDirectory(volume.incoming, { mode: 0o700, owner });
    await run(FALLBACK_LOCALE);
  });
}

/** Makes a new cluster durable; where one syncfs(2) cannot, initdb's own pass does it. */
export async function syncCluster(local: Local, signal: AbortSignal): Promise<void> {
  const { system, volume, binaries, owner } = local;
  if (await syncFileSystem(volume.dataDir, system, signal)) return;
  const tool = {
    file: join(binaries.directory, 'initdb'),
    args: ['--sync-only', `--pgdata=${volume.dataDir}`],
    as: owner,
    timeoutMs: INITDB_TIMEOUT_MS,
  };
  await system.runner.run(tool, signal);
}

/**
 * Removes what an interrupted initialisation of dbkit's own left, where it is proven that no server has run on it; the marker goes last, so a kill in
 * here is harmless too. Any other may hold what an eager client wrote before it was ready: that one is left, to be set aside whole.
 */
export async function discardUnfinished({ volume, system }: Pick<Local, 'volume' | 'system'>): Promise<void> {
  if (!(await present(volume.initializing)) || !(await neverServed(volume, system))) return;
  const names = (await clusterEntries(volume.dataDir)).filter((name) => name !== basename(volume.initializing));
  for (const name of names.sort((a, b) => Number(b === 'global') - Number(a === 'global'))) {
    await rm(join(volume.dataDir, name), { recursive: true, force: true });
  }
  await rm(volume.initializing);
}

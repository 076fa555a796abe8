import { unlink } from 'node:fs/promises';
import type { Finding } from '../inspection/findings.ts';
import { syncCluster } from '../instance/initialize/initialize.ts';
import { markDurable } from '../instance/initialize/marker.ts';
import type { Local } from '../instance/local.ts';
import { type Launch, signalStop } from '../instance/server/server.ts';
import { present } from '../instance/volume.ts';
import type { RunningService } from '../kernel/running-service.ts';
import { rememberStarted } from '../recovery/configuration.ts';
import { afterwards, markFirst, markWhileRunning } from './after-stop.ts';
import { ensurePatiently } from './ensure.ts';
import { forgetRestore } from './forget-restore.ts';
import type { Handles, Hold, PostgresqlOptions } from './hold.ts';
import { type Archived, archiveWhileRunning } from './keep-archive.ts';
import { migrate } from './migrate.ts';

export interface Settling {
  /** The application's role and database were made sure of behind the closed door. */
  readonly isEnsured: boolean;
  /** Damage that is served around; grows when more is found while the server runs. */
  readonly damage: readonly Finding[];
  readonly options: PostgresqlOptions;
}

/** The server answers: the application's role and database are ensured, a new cluster is made durable, and only then it is ready. */
export async function settle(
  { local }: Hold,
  handles: Handles,
  { child, standby }: Extract<Launch, { kind: 'serving' }>,
  { isEnsured, damage, options }: Settling,
  signal: AbortSignal,
): Promise<RunningService> {
  const { settings, system, volume, binaries } = local;
  system.reached('initialize.started');
  const isNew = await present(volume.initializing);
  const durable = isNew ? syncCluster(local, signal) : undefined;
  durable?.catch(() => undefined); // It may fail before it is awaited, and a rejection that nobody hears ends the process.
  let archiving: Promise<Archived> | undefined;
  let marking: Promise<void> | undefined;
  try {
    await markFirst(local); // Of a new cluster before its database is made, whose template is most of the WAL that would have to be read.
    await forgetRestore(local, volume.dataDir);
    const remembered = isNew ? undefined : rememberConfiguration(local); // One that comes to nothing leaves no trace of an instance.
    if (!isEnsured) await ensurePatiently(local, { isNew }, signal);
    system.reached('initialize.ensured');
    await durable;
    if (isNew) await markDurable(volume, local.owner, system);
    await (remembered ?? rememberConfiguration(local));
    system.reached('initialize.durable');
    marking = markWhileRunning(local, child); // Before the migration, whose rows count as well.
    archiving = archiveWhileRunning(local, options, child); // Before the migration, whose commits may wait for the archive.
    const migrated = isNew ? await migrate(local, options.config.recovery, signal) : undefined;
    if (migrated) handles.note(migrated);
    if (isNew) await unlink(volume.initializing);
    system.trace('boot.ready');
  } catch (cause) {
    signalStop(child, 'fast');
    await child.exited;
    await archiving;
    await marking;
    throw cause;
  }
  return {
    pid: child.pid,
    gone: child.exited,
    exited: afterwards(local, handles, child, { marking, archiving }, damage),
    stop: async (mode, stopSignal) => {
      signalStop(child, mode);
      await untilAborted(child.exited, stopSignal);
    },
    reload: async () => child.kill('SIGHUP'),
    details: {
      version: binaries.version,
      port: settings.port,
      dataDir: volume.dataDir,
      socketDir: settings.socketDir,
      standby,
      newCluster: isNew,
    },
  };
}

/** Never rejects: a server that is up is not ended for a copy of its configuration. */
const rememberConfiguration = (local: Local): Promise<void> =>
  rememberStarted(local).catch((cause: unknown) =>
    local.system.log.warn('configuration.unkept', 'the configuration that the server came up with could not be kept', {
      why: String(cause),
    }),
  );

async function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    void work.finally(() => signal.removeEventListener('abort', abort)).then(() => resolve());
  });
}

import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DbkitError, errnoOf } from '../../kernel/errors.ts';
import type { HeldLock } from '../../kernel/machine.ts';
import type { Local } from '../local.ts';
import { launch, signalStop } from './server.ts';
import { lastLines } from './server-log.ts';

export interface PrivateServer {
  readonly dataDir: string;
  /** Handed to the postmaster where the data is on the instance's own volume. */
  readonly lock?: HeldLock | undefined;
  /** Above every other setting. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Lets in whoever reaches the socket, whatever the cluster's own pg_hba.conf says: for copies, whose socket is dbkit's alone. */
  readonly trusts?: boolean;
  /** For the failure: 'the new cluster'. */
  readonly what: string;
}

/**
 * A server that nobody but dbkit can reach, for as long as `work` takes: a socket in a folder of its own, no TCP. Stopped cleanly, whatever
 * happens. Rejects with `service.failed` and the server's last words when it does not come up.
 */
export async function onPrivateServer<T>(
  local: Local,
  { dataDir, lock, settings, trusts = false, what }: PrivateServer,
  signal: AbortSignal,
  work: (socketDir: string) => Promise<T>,
): Promise<T> {
  const socketDir = await privateSocketDir(local);
  try {
    const overrides = { ...settings, ...(trusts ? await trusting(local, socketDir) : {}) };
    const started = await launch(local, { dataDir, privateSocketDir: socketDir, lock, overrides }, signal);
    try {
      if (started.kind === 'serving') return await work(socketDir);
      throw new DbkitError('service.failed', `${what} does not start\n${lastLines(started.lines)}`, {
        hint: 'nothing was changed; the lines above say why',
      });
    } finally {
      if (started.kind !== 'exited') {
        signalStop(started.child, 'fast');
        await started.child.exited;
      }
    }
  } finally {
    await rm(socketDir, { recursive: true, force: true });
  }
}

/** Lets in whoever reaches the socket, which lies in a folder of the owner's alone. */
async function trusting({ system, owner }: Local, socketDir: string): Promise<{ readonly hba_file: string }> {
  const hba = join(socketDir, 'pg_hba.conf');
  await system.files.write(hba, 'local all all trust\n', { mode: 0o600, owner });
  return { hba_file: hba };
}

/** A folder for sockets that only the server's user reaches, with a pg_hba.conf that lets in whoever gets there; for tools that start servers. */
export async function withPrivateFolder<T>(
  local: Local,
  work: (place: { readonly folder: string; readonly hba: string }) => Promise<T>,
): Promise<T> {
  const folder = await privateSocketDir(local);
  try {
    const { hba_file: hba } = await trusting(local, folder);
    return await work({ folder, hba });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** How dbkit reaches the instance's own server before anybody else may: by a socket of its own, whatever pg_hba.conf says. */
export interface PrivateWay {
  readonly socketDir: string;
  /** Above every other setting. */
  readonly settings: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/**
 * For the instance's own data until it is judged. Nothing of the user's runs meanwhile: no jobs, no subscriptions, no autovacuum; it waits for no
 * standby, and it speaks English, so that what it complains about is understood.
 */
export async function openPrivateWay(local: Local): Promise<PrivateWay> {
  const socketDir = await privateSocketDir(local);
  return {
    socketDir,
    settings: {
      ...(await trusting(local, socketDir)),
      lc_messages: 'C',
      ssl: 'off',
      autovacuum: 'off',
      restart_after_crash: 'on', // A session that comes to no end is killed (watched-session.ts),
      update_process_title: 'on', // and is known by its title before it has begun.
      max_logical_replication_workers: '0',
      synchronous_standby_names: '',
      'cron.launch_active_jobs': 'off',
    },
    close: () => rm(socketDir, { recursive: true, force: true }),
  };
}

const SOCKET_NAME_BYTES = '/dbkit-abcdef/.s.PGSQL.65535'.length;
const SOCKET_PATH_BYTES_MAX = 107; // sun_path (unix(7)).
const cannotMake = ['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'ENOSPC'];

/**
 * In the system's folder for such things, where the server's user gets there too; else, where none takes writes (a read-only root), beside the
 * instance's own socket.
 */
async function privateSocketDir({ settings, owner, system }: Local): Promise<string> {
  const isOther = system.self.uid !== owner.uid;
  for (const root of new Set([tmpdir(), '/tmp', settings.socketDir])) {
    if (root !== settings.socketDir) {
      if (root.length + SOCKET_NAME_BYTES > SOCKET_PATH_BYTES_MAX) continue;
      if (isOther && !(await system.reachableByOthers(join(root, 'below')))) continue;
    }
    const made = await mkdtemp(join(root, 'dbkit-')).catch((cause: unknown) => {
      if (root === settings.socketDir || !cannotMake.includes(errnoOf(cause) ?? '')) throw cause;
      return undefined;
    });
    if (made === undefined) continue;
    await chown(made, owner.uid, owner.gid);
    return made;
  }
  throw new DbkitError('internal.bug', 'no folder for a private socket was tried'); // The last one of the list either makes it or rejects.
}

/**
 * Settings that keep a copy from acting like the original: it archives nothing, follows nobody, runs no scheduled jobs, waits for no standby, and is
 * small. `throwAway`: it need not survive a power cut either. Names that a version does not know are left out.
 */
export const copySettings = (major: number, { throwAway }: { throwAway: boolean }): Record<string, string> => ({
  archive_command: 'false', // Not archive_mode: what a boot test writes is archived once the copy is the instance.
  ...(major >= 15 ? { archive_library: '' } : {}),
  max_logical_replication_workers: '0',
  'cron.launch_active_jobs': 'off',
  synchronous_standby_names: '',
  shared_buffers: '32MB',
  logging_collector: 'off',
  ssl: 'off',
  ...(throwAway ? { archive_mode: 'off', fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off', autovacuum: 'off' } : {}),
});

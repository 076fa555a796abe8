import { lstat, readdir, stat } from 'node:fs/promises';
import type { PostgresqlSettings } from '../config/config.ts';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { isWritable } from '../machine/is-there.ts';

/**
 * The user of the server. `initdb` and `postgres` refuse root, so root drops to the configured user, else to the owner of the data, else to
 * postgres, else to nobody. Anybody else runs it as himself. Rejects with `config.invalid` when the configured user does not exist.
 */
export async function serverOwner(settings: PostgresqlSettings, system: System): Promise<Identity> {
  if (system.self.uid !== 0 || settings.connectionOnly) return system.self; // Nothing of the server's is here.
  if (settings.user !== undefined) {
    const configured = await system.lookupUser(settings.user);
    if (!configured || configured.uid === 0) {
      throw new DbkitError(
        'config.invalid',
        `postgresql.user: ${configured ? 'root may not run PostgreSQL' : `there is no user '${settings.user}'`}`,
      );
    }
    return configured;
  }
  const holder = await stat(settings.dataDir).catch(() => undefined);
  if (holder && holder.uid !== 0) {
    return (await system.lookupUser(holder.uid)) ?? { uid: holder.uid, gid: holder.gid, name: String(holder.uid), home: '/' };
  }
  const fallback = (await system.lookupUser('postgres')) ?? (await system.lookupUser('nobody'));
  if (!fallback)
    throw new DbkitError('data.owner', 'root may not run PostgreSQL, and there is no user postgres to run it', {
      hint: 'create one (useradd --system postgres), or set postgresql.user',
    });
  return fallback;
}

/**
 * Makes sure that `path` is a directory the server's user can write: made when missing, its owner mended by root or through passwordless
 * sudo. Only the directory itself is touched, never what it holds. Rejects with `data.owner` and the command that would help.
 */
export async function claimDirectory(path: string, owner: Identity, mode: number, system: System, signal: AbortSignal): Promise<void> {
  try {
    await system.files.makeDirectory(path, { mode, owner });
    const { uid } = await stat(path);
    if (uid === owner.uid || (mode !== 0o700 && (await isUsable(path, owner, system)))) return;
    if (system.self.uid === 0) {
      const names = mode === 0o700 ? [] : await readdir(path);
      if (names.length === 0) system.rights.handOver(path, owner, isOurs); // A shared folder in use (/var/log) stays whose it is.
      return;
    }
  } catch (cause) {
    if (errnoOf(cause) === 'EROFS')
      throw new DbkitError('volume.read-only', `${path} is on a read-only file system`, { hint: 'mount it writable', cause });
    if (errnoOf(cause) === 'ENOSPC')
      throw new DbkitError('volume.full', `there is no space for ${path}`, { hint: 'free some space on the volume', cause });
    if (errnoOf(cause) !== 'EACCES' && errnoOf(cause) !== 'EPERM') throw cause;
  }
  const install = ['install', '--directory', `--owner=${owner.uid}`, `--group=${owner.gid}`, `--mode=${mode.toString(8)}`, path];
  const sudo = await system.runner
    .attempt({ file: 'sudo', args: ['--non-interactive', ...install], as: 'caller', timeoutMs: 10_000 }, signal)
    .catch(() => undefined);
  if (sudo?.exitCode === 0) {
    system.log.info('directory.claimed', `used sudo to make ${path} belong to ${owner.name}`, { path });
    return;
  }
  if (mode !== 0o700 && (await stat(path).catch(() => undefined))) return; // Whoever writes there will say which file it was.
  throw new DbkitError('data.owner', `${path} is not writable for ${owner.name}`, {
    hint: `run as root: ${install.join(' ')}; nothing was changed`,
  });
}

/** The same for LOG_DIR, which is no reason to keep a server down. */
export async function claimLogDirectory(path: string, owner: Identity, system: System, signal: AbortSignal): Promise<void> {
  await claimDirectory(path, owner, 0o755, system, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    system.log.warn('log.unclaimed', `the log directory cannot be used: ${wordsOf(cause)}`, { path });
  });
}

/** A directory that several may share needs no other owner as long as it can be written to. */
const isUsable = async (path: string, owner: Identity, { self, rights }: System): Promise<boolean> =>
  self.uid === 0 ? rights.mayWriteIn(path, owner) : isWritable(path);

/** The folders of PostgreSQL and dbkit: a data directory, a repository. */
const isOurs = (names: readonly string[]): boolean =>
  ['PG_VERSION', 'global', 'base'].some((name) => names.includes(name)) ||
  names.every((name) => /^(\.|lost\+found$|dbkit\.initializing$|wal$|quarantine$|(data|dump|corrupt|replaced)_\d{8}_\d{6})/.test(name));

/** True when the directory belongs to `owner`, or root is here to mend it. */
export async function mayMendOwner(path: string, owner: Identity, system: System): Promise<boolean> {
  if (system.self.uid === 0) return true;
  const entry = await lstat(path).catch(() => undefined);
  return entry === undefined || entry.uid === owner.uid;
}

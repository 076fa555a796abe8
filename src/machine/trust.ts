import { accessSync, constants, lstatSync, readFileSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { errnoOf } from '../kernel/errors.ts';
import type { Identity, Owner } from '../kernel/machine.ts';

/** A file or folder that somebody other than root and the caller could have made or could change. */
export interface Stranger {
  readonly path: string;
  readonly who: string;
}

const OTHERS = 0o002;
const GROUP = 0o020;
const STICKY = 0o1000;
const LINKS_MAX = 40;

type Facts = Pick<Stats, 'uid' | 'gid' | 'mode'>;

/** Nobody but root can place, replace or change anything there (sshd's rule for its key files). */
export const isRootsAlone = (entry: Facts): boolean => isAlone(entry, [0]);

const isAlone = ({ uid, mode }: Facts, users: readonly number[]): boolean => users.includes(uid) && (mode & (OTHERS | GROUP)) === 0;

/**
 * Somebody other than root and `self` who could have written the file at `path`, or could put another in its place: by the file, its folder, and
 * every link on the way with the folder it stands in (git's safe.directory, sshd's StrictModes). Undefined when there is nobody, or no such file.
 */
export function whoElseMayWrite(path: string, self: Identity, { onReadOnlyMount = false } = {}): Stranger | undefined {
  let at = resolve(path);
  for (let links = 0; links < LINKS_MAX; links += 1) {
    const folder = realOf(dirname(at));
    if (folder === undefined) return undefined;
    const entry = lstatSync(join(folder, basename(at)), { throwIfNoEntry: false });
    if (entry === undefined) return undefined;
    const who = [...strangersOf(entry, at, self), ...strangersOf(statSync(folder), folder, self)].find(
      (stranger) => !(onReadOnlyMount && isOnReadOnlyMount(stranger.path)), // Kubernetes mounts a ConfigMap 0777, and read-only.
    );
    if (who !== undefined) return who;
    if (!entry.isSymbolicLink()) return undefined;
    at = resolve(folder, readlinkSync(join(folder, basename(at))));
  }
  return { path, who: 'a circle of links' };
}

function strangersOf(entry: Facts & Pick<Stats, 'isSymbolicLink' | 'isDirectory'>, path: string, self: Identity): Stranger[] {
  if (entry.uid !== 0 && entry.uid !== self.uid) return [{ path, who: `uid ${entry.uid}` }];
  if (entry.isSymbolicLink()) return []; // Its mode says nothing.
  if ((entry.mode & OTHERS) !== 0) return [{ path, who: 'everybody' }];
  return (entry.mode & GROUP) !== 0 && !isPrivateGroup(entry.gid, self) ? [{ path, who: `group ${entry.gid}` }] : [];
}

/** A user's own group, which is named like the user and holds nobody else: distributions make files 0664 for it (umask 002). */
function isPrivateGroup(gid: number, self: Identity): boolean {
  const rows = textOf('/etc/group')
    .split('\n')
    .map((row) => row.split(':'));
  const [name, , , members] = rows.find(([, , id]) => id === String(gid)) ?? [];
  if (name !== self.name) return false;
  const others = (members ?? '').split(',').filter((member) => member !== '' && member !== self.name);
  const logins = textOf('/etc/passwd')
    .split('\n')
    .filter((row) => row.split(':')[3] === String(gid));
  return others.length === 0 && logins.every((row) => row.startsWith(`${self.name}:`));
}

/** EROFS comes before any question of permission only for those who may; root always may, and 0777 lets everybody. */
function isOnReadOnlyMount(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (cause) {
    return errnoOf(cause) === 'EROFS';
  }
}

/**
 * A folder in which root may act by name: nobody else could have placed anything on the way there, or in it. Links are followed as root has placed
 * them; a sticky folder (/tmp) keeps what is root's.
 */
export const isRootsOwn = (directory: string): boolean => isOwnWay(directory, []);

/** The same for root and these users: nobody else could put another folder in its place, or place anything in it. */
export function isOwnWay(directory: string, users: readonly number[]): boolean {
  const own = [0, ...users];
  let rest = resolve(directory).split('/').filter(Boolean);
  let at = '/';
  for (let links = 0; rest.length > 0; ) {
    const [name, ...after] = rest;
    const next = join(at, name!);
    const entry = lstatSync(next, { throwIfNoEntry: false });
    if (entry === undefined || !own.includes(entry.uid)) return false;
    if (entry.isSymbolicLink()) {
      links += 1;
      if (links > LINKS_MAX) return false;
      rest = [...resolve(at, readlinkSync(next)).split('/').filter(Boolean), ...after];
      at = '/';
      continue;
    }
    const isPassage = entry.isDirectory() && (entry.mode & STICKY) !== 0 && after.length > 0;
    if (!isAlone(entry, own) && !isPassage) return false;
    at = next;
    rest = after;
  }
  return true;
}

/** May `user` make files in the folder, as far as its mode tells (access(2) would ask for the real user, who is root)? */
export function mayWriteIn(directory: string, user: Owner, groups: readonly number[] = [user.gid]): boolean {
  const entry = statSync(directory, { throwIfNoEntry: false });
  if (entry === undefined) return false;
  if (entry.uid === user.uid) return (entry.mode & 0o300) === 0o300;
  return ((entry.mode >> (groups.includes(entry.gid) ? 3 : 0)) & 0o3) === 0o3;
}

function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { DbkitError, isDenied } from '../kernel/errors.ts';
import type { Owner } from '../kernel/machine.ts';
import { isThereNow } from './is-there.ts';
import { actingAs, actsAsRoot, asCaller } from './privileges.ts';
import { isRootsAlone, isRootsOwn } from './trust.ts';

const LINKS_MAX = 40;
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Makes `path`, missing parents included, where the server's user may not and root may. What it has made belongs to `owner`. False, and nothing
 * made, for whoever is not root.
 */
export function makeAsRoot(path: string, mode: number, owner: Owner): boolean {
  return asCaller(() => {
    if (!actsAsRoot()) return false;
    const missing: string[] = [];
    let parent = resolve(path);
    for (; !isThereNow(parent); parent = dirname(parent)) missing.unshift(basename(parent));
    withFolder(parent, (folder) => makeBelow(folder, missing, mode, owner));
    return true;
  });
}

/**
 * Each below the descriptor of the one above it; what somebody put there meanwhile is not root's, and ends it. Whoever may pass in the end may from
 * the beginning, as another dbkit looks for a file there at the same time; until it is handed over only root writes there.
 */
function makeBelow(folder: number, [name, ...names]: readonly string[], mode: number, owner: Owner): void {
  if (name === undefined) return;
  const inside = `/proc/self/fd/${folder}/${name}`;
  mkdirSync(inside, { mode: mode & 0o755 });
  withOpen(inside, FOLDER, (made) => {
    if (fstatSync(made).uid !== 0)
      throw new DbkitError('data.owner', `${name} was replaced by something else while dbkit created it`, { hint: 'try again' });
    makeBelow(made, names, mode, owner);
    fchmodSync(made, mode);
    fchownSync(made, owner.uid, owner.gid);
  });
}

/**
 * Opens a file to append to as whoever dbkit acts as, so that a link in a folder of that user leads no further than that user may go. Where that
 * user may not, and the folder is root's alone, root opens it, and what it makes belongs to that user. Throws the system's own failure.
 */
export function openToAppend(path: string, mode: number): number {
  try {
    return openSync(path, APPEND | constants.O_NONBLOCK, mode); // A pipe in its place would wait for a reader.
  } catch (cause) {
    const owner = actingAs();
    if (owner === undefined || !isDenied(cause)) throw cause;
    const opened = asCaller(() => (isRootsOwn(dirname(path)) ? openInRootsOwn(path, mode, owner) : undefined));
    if (opened === undefined) throw cause;
    return opened;
  }
}

function openInRootsOwn(path: string, mode: number, owner: Owner): number {
  const fd = openSync(path, APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode);
  const { nlink, size, uid } = fstatSync(fd);
  if (nlink === 1 && size === 0 && uid === 0) fchownSync(fd, owner.uid, owner.gid); // Its own, or as good as new.
  return fd;
}

/**
 * Gives a directory to `owner` when it is reached without a link that anybody but root could have placed, and holds nothing, or only what
 * `isOurs` says is dbkit's or PostgreSQL's. Throws `data.owner` otherwise: /etc named by mistake stays root's.
 */
export function handOver(path: string, owner: Owner, isOurs: (names: readonly string[]) => boolean): void {
  asCaller(() =>
    withFolder(path, (folder) => {
      const names = readdirSync(`/proc/self/fd/${folder}`);
      if (fstatSync(folder).uid === owner.uid) return;
      if (names.length > 0 && !isOurs(names))
        throw new DbkitError('data.owner', `${path} belongs to somebody else and holds other files (${names.slice(0, 3).join(', ')})`, {
          hint: `name an empty folder, or give this one away yourself: chown ${owner.uid}:${owner.gid} ${path}; nothing was changed`,
        });
      fchownSync(folder, owner.uid, owner.gid);
    }),
  );
}

/** The names of dbkit in its state directory; the programs that it copies there stay root's. */
const kept =
  /^(status\.json|ready|control\.sock|monitor(-samples)?\.json|monitor\.lock|alerts\.json|health-.*|(inventory|places|mark)\.json|kept(\.new|\.old)?|started|recoveries|scratch|secrets|pgbackrest|.*\.tmp|.*\.broken-.*)$/;

/**
 * dbkit's state, left by a run as root before the server's user was known: it becomes that user's, with the modes it has. Done only where nobody
 * but root could have put anything there, and it holds nothing else.
 */
export function handOverState(path: string, owner: Owner): void {
  asCaller(() => {
    if (!actsAsRoot() || lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true || !isRootsOwn(path)) return;
    const names = readdirSync(path).filter((name) => !['programs', 'lost+found'].includes(name));
    if (!names.every((name) => kept.test(name))) return;
    for (const name of names) {
      if (lstatSync(join(path, name)).isDirectory())
        handOverTree(join(path, name), owner, new AbortController().signal, { mode: { file: 0, directory: 0 } });
      else lchownSync(join(path, name), owner.uid, owner.gid); // The folder itself comes last: until then nobody else can change what stands in it.
    }
    withFolder(path, (folder) => fchownSync(folder, owner.uid, owner.gid));
  });
}

/**
 * Owner and mode of everything below `path`, changed only where they differ. Links are given away, never followed; a file with a second name
 * may be somebody else's, and throws `data.owner`. `signal` ends it between two entries. What is not `taken`, by its path below, stays whose it is.
 */
export function handOverTree(
  path: string,
  owner: Owner,
  signal: AbortSignal,
  {
    mode = { file: 0o600, directory: 0o700 },
    taken = () => true,
  }: { mode?: { file: number; directory: number }; taken?: (below: string) => boolean } = {},
): void {
  const visit = (folder: number, where: string): void => {
    for (const name of readdirSync(`/proc/self/fd/${folder}`)) {
      signal.throwIfAborted();
      if (!taken(relative(path, join(where, name)))) continue;
      const inside = `/proc/self/fd/${folder}/${name}`;
      const entry = lstatSync(inside, { throwIfNoEntry: false });
      if (entry?.isSymbolicLink() && entry.uid !== owner.uid) lchownSync(inside, owner.uid, owner.gid);
      if (!entry?.isFile() && !entry?.isDirectory()) continue;
      const wanted = entry.isDirectory() ? mode.directory : mode.file;
      if (entry.isFile() && entry.uid === owner.uid && (entry.mode & wanted) === wanted) continue;
      withOpen(inside, entry.isDirectory() ? FOLDER : FILE, (fd) => {
        mend(fd, wanted, owner, join(where, name));
        if (fstatSync(fd).isDirectory()) visit(fd, join(where, name));
      });
    }
  };
  asCaller(() =>
    withFolder(path, (folder) => {
      mend(folder, mode.directory, owner, path);
      visit(folder, path);
    }),
  );
}

/** Of what is open, so that it is the very file that was looked at. */
function mend(fd: number, wanted: number, owner: Owner, path: string): void {
  const entry = fstatSync(fd);
  if (entry.uid !== owner.uid) {
    if (entry.isFile() && entry.nlink > 1)
      throw new DbkitError(
        'data.owner',
        `${path} belongs to uid ${entry.uid} and has another hard link, so it may be another user’s file`,
        {
          hint: `look at it: find / -xdev -inum ${entry.ino}; a copy of it in its place can be used`,
        },
      );
    fchownSync(fd, owner.uid, owner.gid);
  }
  if ((entry.mode & wanted) !== wanted) fchmodSync(fd, (entry.mode & 0o7777) | wanted);
}

function withOpen<T>(path: string, flags: number, work: (fd: number) => T): T {
  const fd = openSync(path, flags);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

/** Opens the folder at `path` component by component, each below the descriptor of the one above it, so that nothing can be put in between. */
function withFolder<T>(path: string, work: (folder: number) => T): T {
  let folder = openSync('/', FOLDER);
  let isRoots = true; // Links count only while nobody but root could have placed them.
  let rest = resolve(path).split('/').filter(Boolean);
  try {
    for (let links = 0; rest.length > 0; ) {
      const [name, ...after] = rest;
      const inside = `/proc/self/fd/${folder}/${name}`;
      const isLink = lstatSync(inside).isSymbolicLink();
      isRoots &&= isRootsAlone(fstatSync(folder));
      links += Number(isLink);
      if (isLink && (!isRoots || links > LINKS_MAX))
        throw new DbkitError('data.owner', `the way to ${path} leads through a link that others could have placed (${name})`, {
          hint: 'name the folder itself instead of the link; nothing was changed',
        });
      const above = isLink ? readlinkSync(`/proc/self/fd/${folder}`) : '';
      rest = isLink ? [...resolve(above, readlinkSync(inside)).split('/').filter(Boolean), ...after] : after;
      const next = isLink ? openSync('/', FOLDER) : openSync(inside, FOLDER);
      closeSync(folder);
      folder = next;
    }
    return work(folder);
  } finally {
    closeSync(folder);
  }
}

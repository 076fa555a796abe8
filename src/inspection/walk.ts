import { lstatSync, readdirSync, realpathSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { isPostgresqls } from '../instance/own-names.ts';
import { errnoOf, isDenied } from '../kernel/errors.ts';
import { targetAt } from '../machine/is-there.ts';

/** One entry of a data directory, as lstat saw it; what lies behind a link that is PostgreSQL's to follow is described as what it leads to. */
export interface Entry {
  /** Relative to PGDATA. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly uid: number;
  readonly mode: number;
  /** It is a link, and what is said here is said of what it leads to. */
  readonly linked?: boolean;
}

export interface Walk {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Paths that could not be read for lack of permission. */
  readonly denied: readonly string[];
  /** Folders in the places of files, and files in those of folders, which `entries` leaves out with all that they hold. */
  readonly standIns?: readonly Entry[] | undefined;
  /** The main configuration file where it is not in PGDATA. */
  readonly configFile?: string | undefined;
}

/** dbkit's own folder, and what file systems and editors leave: none of PostgreSQL's business. */
const skipped = new Set(['.dbkit', 'lost+found', '.snapshot', '.snapshots']);

/**
 * Every entry below PGDATA, through the links that PostgreSQL follows itself (pg_wal, pg_tblspc/*). Synchronous calls: for tens of thousands
 * of files Node spends more on each promise than the kernel on its lstat. The signal is heard between directories. What is not
 * `wanted` is passed over with all that it holds.
 */
export function walk(dataDir: string, signal: AbortSignal, wanted: (path: string) => boolean = () => true): Walk {
  const entries = new Map<string, Entry>();
  const denied: string[] = [];
  const visit = (path: string): void => {
    signal.throwIfAborted();
    let names: string[];
    try {
      names = readdirSync(join(dataDir, path));
    } catch (cause) {
      if (isDenied(cause)) {
        if (path === '' || isPostgresqls(path)) denied.push(path || '.');
      } else if (errnoOf(cause) !== 'ENOENT' && errnoOf(cause) !== 'ENOTDIR') throw cause;
      return;
    }
    for (const name of names) {
      if (path === '' && skipped.has(name)) continue;
      const at = path === '' ? name : `${path}/${name}`;
      const entry = wanted(at) ? entryAt(dataDir, at, denied) : undefined;
      if (!entry) continue;
      entries.set(at, entry);
      if (entry.kind === 'directory' ? !goesRound(dataDir, entry) : entry.kind === 'link' && leadsOn(dataDir, at)) visit(at);
    }
  };
  visit('');
  return { entries, denied };
}

/** The entry at `path`; undefined when there is nothing, or it may not be looked at, which `denied` then tells. */
export function entryAt(dataDir: string, path: string, denied: string[]): Entry | undefined {
  const stats = statOf(`${dataDir}/${path}`); // A name that is not UTF-8 is not found again: it is none of PostgreSQL's.
  if (stats === 'denied' && isPostgresqls(path)) denied.push(path);
  if (!stats || stats === 'denied') return undefined;
  const behind = stats.isSymbolicLink() && isFollowed(path) ? targetOf(dataDir, path) : undefined;
  return behind ? { ...described(path, behind), linked: true } : described(path, stats);
}

function described(path: string, stats: Stats): Entry {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : 'other';
  return { path, kind, sizeBytes: stats.size, mtimeMs: stats.mtimeMs, uid: stats.uid, mode: stats.mode & 0o7777 };
}

function statOf(path: string): Stats | 'denied' | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    if (isDenied(cause)) return 'denied'; // A directory that may be listed but not entered.
    throw cause;
  }
}

/** PostgreSQL follows every link among its own files (open(2)); pg_wal, tablespaces and configuration have rules of their own. */
const isFollowed = (path: string): boolean => isPostgresqls(path) && path !== 'pg_wal' && !/^pg_tblspc\/[^/]+$/.test(path);

/** Undefined where it leads nowhere, or may not be looked at. */
function targetOf(dataDir: string, path: string): Stats | undefined {
  try {
    return targetAt(join(dataDir, path));
  } catch (cause) {
    if (isDenied(cause) || errnoOf(cause) === 'ELOOP') return undefined;
    throw cause;
  }
}

/** A link to a folder that it lies in. */
function goesRound(dataDir: string, { path, linked }: Entry): boolean {
  if (!linked) return false;
  const target = realpathSync(join(dataDir, path));
  return `${realpathSync(join(dataDir, path, '..'))}/`.startsWith(`${target}/`);
}

/** The links that lead to whole folders by PostgreSQL's own design: pg_wal and those in pg_tblspc. */
function leadsOn(dataDir: string, path: string): boolean {
  if (path !== 'pg_wal' && !path.startsWith('pg_tblspc/')) return false;
  return targetAt(join(dataDir, path))?.isDirectory() ?? false;
}

export const emptyWalk: Walk = { entries: new Map(), denied: [] };

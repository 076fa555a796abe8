import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, isDenied } from '../kernel/errors.ts';

/** One entry of a data directory, as lstat saw it. */
export interface Entry {
  /** Relative to PGDATA. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly uid: number;
  readonly mode: number;
}

export interface Walk {
  readonly entries: ReadonlyMap<string, Entry>;
  /** What could not be read for lack of permission. */
  readonly denied: readonly string[];
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
      if (isDenied(cause)) denied.push(path || '.');
      else if (errnoOf(cause) !== 'ENOENT' && errnoOf(cause) !== 'ENOTDIR') throw cause;
      return;
    }
    for (const name of names) {
      if (path === '' && skipped.has(name)) continue;
      const at = path === '' ? name : `${path}/${name}`;
      const entry = wanted(at) ? entryAt(dataDir, at, denied) : undefined;
      if (!entry) continue;
      entries.set(at, entry);
      if (entry.kind === 'directory' || (entry.kind === 'link' && leadsOn(dataDir, at))) visit(at);
    }
  };
  visit('');
  return { entries, denied };
}

/** What is at `path`; undefined when there is nothing, or it may not be looked at, which `denied` then tells. */
export function entryAt(dataDir: string, path: string, denied: string[]): Entry | undefined {
  const stats = statOf(`${dataDir}/${path}`); // A name that is not UTF-8 is not found again: it is none of PostgreSQL's.
  if (stats === 'denied') denied.push(path);
  if (!stats || stats === 'denied') return undefined;
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

/** The links that PostgreSQL follows: pg_wal and those in pg_tblspc; others are not its own. */
function leadsOn(dataDir: string, path: string): boolean {
  if (path !== 'pg_wal' && !path.startsWith('pg_tblspc/')) return false;
  return statSync(join(dataDir, path), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

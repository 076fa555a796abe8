import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import { header, isZero, pageLsn } from '../formats/pages.ts';
import type { Finding } from './findings.ts';
import { RELATION } from './relations.ts';
import type { Walk } from './walk.ts';

/** A folder where the server has a file of a relation holds nothing of it: the file is gone. */
export function withoutStandIns(seen: Walk): Walk {
  const standIns = [...seen.entries.values()].filter(({ path, kind }) => kind === 'directory' && RELATION.test(path));
  if (standIns.length === 0) return seen;
  const isWithin = (path: string): boolean => standIns.some((folder) => path === folder.path || path.startsWith(`${folder.path}/`));
  return { ...seen, entries: new Map([...seen.entries].filter(([path]) => !isWithin(path))), standIns };
}

/**
 * Folders where the server would open the file of a relation, or make it anew, and what is no folder where crash recovery looks into that of a database.
 * After a clean shutdown no init fork is opened, nor a database's folder that crash recovery alone would read.
 */
export function inspectStandIns(dataDir: string, { entries, standIns = [] }: Walk, control: ControlFile): Finding[] {
  const isClean = control.state.startsWith('shut down');
  const found = standIns.filter(({ path }) => !isClean || !path.endsWith('_init')).flatMap(({ path }) => folders(dataDir, path, control));
  const files = isClean
    ? []
    : [...entries.values()].filter(({ path, kind }) => kind !== 'directory' && kind !== 'link' && DATABASE.test(path));
  return [
    ...found,
    ...files.map(({ path }): Finding => {
      const says = `could not open directory "${path}": Not a directory`;
      return { code: 'database.file', path, evidence: 'it is no folder', severity: 'certain', postgresSays: says };
    }),
  ];
}

/** ResetUnloggedRelations (reinit.c) opens all of these names. */
const DATABASE = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/\d+$/;

function folders(dataDir: string, path: string, control: ControlFile): Finding[] {
  const [, , fork, segment] = RELATION.exec(path)!;
  const folder = { path, evidence: 'it is a folder, and no file', severity: 'certain' } as const;
  // An empty file there empties the relation at every crash from now on: only what bears the marks of an unlogged one may have it.
  if (fork === 'init' && isUnlogged(join(dataDir, path.replace(/_init$/, '')), control))
    return [{ ...folder, code: 'init-fork.folder', postgresSays: `could not read file "${path}": Is a directory` }];
  const found: Finding = { ...folder, code: 'relation.folder', postgresSays: `could not create file "${path}": File exists` };
  // Without a later segment the server takes the relation for shorter, and says nothing.
  return segment === undefined ? [found] : [found, { ...found, code: 'relation.missing', severity: 'suspect' }];
}

const PAGES = 128;
/** initdb begins its WAL there, so the LSN of no logged page is before it (xlog.c); unlogged ones bear 0, or count from 1000 (GetFakeLSNForUnloggedRel). */
const FIRST_LSN = 16 * 1024 * 1024;
const GIST_BUILD_LSN = 1;

/** By its first pages. A table that COPY has filled under `wal_level = minimal` bears the same marks, so there nobody can tell: false. */
function isUnlogged(file: string, { blockSizeBytes: size, isWalMinimal }: ControlFile): boolean {
  if (isWalMinimal) return false;
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch {
    return false;
  }
  try {
    const bytes = Buffer.allocUnsafe(PAGES * size);
    const pages = Math.floor(readSync(handle, bytes, 0, bytes.length, 0) / size);
    const lsns = Array.from({ length: pages }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
      .filter((page) => page.readUInt16LE(header.upper) > 0 && !isZero(page))
      .map((page) => Number(pageLsn(page, 0)));
    return lsns.some((lsn) => lsn !== GIST_BUILD_LSN) && lsns.every((lsn) => lsn < FIRST_LSN);
  } catch {
    return false;
  } finally {
    closeSync(handle);
  }
}

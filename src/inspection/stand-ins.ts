import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { header, isZero, pageLsn } from '../formats/pages.ts';
import { isAbort } from '../kernel/errors.ts';
import type { Finding } from './findings.ts';
import type { PageHistory } from './page-history.ts';
import { RELATION } from './relations.ts';
import type { Walk } from './walk.ts';

/** A folder where the server has a file of a relation holds nothing of it: the file is gone. */
export function withoutStandIns(seen: Walk): Walk {
  const standIns = [...seen.entries.values()].filter(({ path, kind }) => kind === 'directory' && RELATION.test(path));
  if (standIns.length === 0) return seen;
  const isWithin = (path: string): boolean => standIns.some((folder) => path === folder.path || path.startsWith(`${folder.path}/`));
  return { ...seen, entries: new Map([...seen.entries].filter(([path]) => !isWithin(path))), standIns };
}

/** As it was seen, with the folders themselves. */
export const withStandIns = (seen: Walk): Walk =>
  seen.standIns ? { ...seen, entries: new Map([...seen.entries, ...seen.standIns.map((entry) => [entry.path, entry] as const)]) } : seen;

/**
 * Folders where the server would open the file of a relation, or make it anew, and what is no folder where crash recovery looks into that of a database.
 * After a clean shutdown no init fork is opened, nor a database's folder that crash recovery alone would read.
 */
export async function inspectStandIns(dataDir: string, seen: Walk, control: ControlFile, signal: AbortSignal): Promise<Finding[]> {
  const { entries, standIns = [] } = seen;
  const isClean = control.state.startsWith('shut down');
  const wanted = standIns.filter(({ path }) => !isClean || !path.endsWith('_init'));
  const history = wanted.some(({ path }) => path.endsWith('_init')) ? await sinceCheckpoint(dataDir, control, signal) : undefined;
  const isUnlogged = (path: string): boolean => marksOf(join(dataDir, path), control) ?? history?.of(`${path}_init`)?.isDropped === false;
  const found = wanted.flatMap(({ path }) => folders(path, seen, control, isUnlogged));
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

function folders(path: string, { entries }: Walk, control: ControlFile, isUnlogged: (main: string) => boolean): Finding[] {
  const [, , fork, segment] = RELATION.exec(path)!;
  const folder = { path, evidence: 'it is a folder, and no file', severity: 'certain' } as const;
  // An empty file there empties the relation at every crash from now on: only what bears the marks of an unlogged one may have it.
  if (fork === 'init' && isUnlogged(path.replace(/_init$/, '')))
    return [{ ...folder, code: 'init-fork.folder', postgresSays: `could not read file "${path}": Is a directory` }];
  const found: Finding = { ...folder, code: 'relation.folder', postgresSays: `could not create file "${path}": File exists` };
  // Without a later segment the server takes the relation for shorter, and says nothing. It was there only if those before it are full.
  const before = entries.get(path.replace(/\.\d+$/, '') + (Number(segment) > 1 ? `.${Number(segment) - 1}` : ''));
  const isMissed =
    segment !== undefined && (before === undefined || before.sizeBytes === control.blockSizeBytes * control.blocksPerSegment);
  return isMissed ? [found, { ...found, code: 'relation.missing', severity: 'suspect' }] : [found];
}

const PAGES = 128;
/** initdb begins its WAL there, so the LSN of no logged page is before it (xlog.c); unlogged ones bear 0, or count from 1000 (GetFakeLSNForUnloggedRel). */
const FIRST_LSN = 16 * 1024 * 1024;
const GIST_BUILD_LSN = 1;

/**
 * True for an unlogged relation, by its first pages; undefined where they hold nothing. A table that COPY has filled under `wal_level = minimal` bears the
 * same marks, so there nobody can tell.
 */
function marksOf(file: string, { blockSizeBytes: size, isWalMinimal }: ControlFile): boolean | undefined {
  const bytes = Buffer.alloc(PAGES * size);
  try {
    const handle = openSync(file, 'r');
    try {
      readSync(handle, bytes, 0, bytes.length, 0);
    } finally {
      closeSync(handle);
    }
  } catch {
    return false;
  }
  const lsns = Array.from({ length: PAGES }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
    .filter((page) => page.readUInt16LE(header.upper) > 0 && !isZero(page))
    .map((page) => Number(pageLsn(page, 0)))
    .filter((lsn) => lsn !== GIST_BUILD_LSN);
  if (lsns.length === 0) return undefined;
  return !isWalMinimal && lsns.every((lsn) => lsn < FIRST_LSN);
}

/** The WAL that crash recovery will replay: it makes the init fork of a relation that is younger. Undefined where it cannot be read. */
async function sinceCheckpoint(dataDir: string, control: ControlFile, signal: AbortSignal): Promise<PageHistory | undefined> {
  const { systemIdentifier, timeline, walSegmentSizeBytes: segmentSizeBytes, blocksPerSegment, redoLsn } = control;
  const identity = { systemIdentifier, timeline, segmentSizeBytes };
  const source = [fromText(join(dataDir, 'pg_wal'))];
  const { readPageHistory } = await import('./page-history.ts'); // No plain start needs it.
  return readPageHistory({ source, identity, from: redoLsn, flushedTo: redoLsn, blocksPerSegment }, signal).catch((cause: unknown) => {
    if (isAbort(cause)) throw cause;
    return undefined;
  });
}

/** A repair that was cut off between the folder and the file has left no init fork, so it is to be done again; else it was done. */
export const asLeft =
  ({ entries }: Walk) =>
  (finding: Finding): Finding =>
    finding.code === 'init-fork.folder' && !entries.has(finding.path) ? { ...finding, severity: 'certain' } : finding;

/** A file that is gone may be missed by several: the surest word counts, once. */
export function once(findings: readonly Finding[]): Finding[] {
  const missed = findings.filter(({ code }) => code === 'relation.missing');
  const best = new Map(missed.map((finding) => [finding.path, finding]));
  for (const finding of missed) if (finding.severity === 'certain') best.set(finding.path, finding);
  return findings.filter((finding) => finding.code !== 'relation.missing' || best.get(finding.path) === finding);
}

import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { isAbort } from '../kernel/errors.ts';
import type { Finding } from './findings.ts';
import { recovers } from './gaps.ts';
import type { PageHistory } from './page-history.ts';
import { RELATION } from './relations.ts';
import type { Entry, Walk } from './walk.ts';

/**
 * A folder where the server has a file of a relation holds nothing of it, nor does a file where it has the folder of a database, or what stands in the place of a
 * tablespace's link and holds no folder of any version: those are gone.
 */
export function withoutStandIns(seen: Walk): Walk {
  const isStandIn = ({ path, kind }: Entry): boolean => {
    if (kind === 'link') return false;
    if (TABLESPACE.test(path)) return kind !== 'directory' || !(seen.denied.includes(path) || holdsVersion(seen, path));
    return kind === 'directory' ? RELATION.test(path) : DATABASE.test(path);
  };
  const standIns = [...seen.entries.values()].filter(isStandIn);
  if (standIns.length === 0) return seen;
  const isWithin = (path: string): boolean => standIns.some((one) => path === one.path || path.startsWith(`${one.path}/`));
  return { ...seen, entries: new Map([...seen.entries].filter(([path]) => !isWithin(path))), standIns };
}

/** The place of a tablespace's link. */
export const TABLESPACE = /^pg_tblspc\/\d+$/;
/** As that of a tablespace that lies there itself does (allow_in_place_tablespaces). */
const holdsVersion = ({ entries }: Walk, home: string): boolean => [...entries.keys()].some((path) => path.startsWith(`${home}/PG_`));
const DATABASE = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/\d+$/;

/** As it was seen, with what stands there. */
export const withStandIns = (seen: Walk): Walk =>
  seen.standIns ? { ...seen, entries: new Map([...seen.entries, ...seen.standIns.map((entry) => [entry.path, entry] as const)]) } : seen;

/**
 * Folders where the server would open the file of a relation, or make it anew, and files where it looks into the folder of a database. Recovery goes by
 * names (ResetUnloggedRelations, reinit.c): beside a folder that bears the name of an init fork it removes a table that is logged.
 */
export async function inspectStandIns(dataDir: string, seen: Walk, control: ControlFile, signal: AbortSignal): Promise<Finding[]> {
  const { standIns = [] } = seen;
  const isRecovering = control.state !== 'shut down' || recovers(seen);
  const history =
    isRecovering && standIns.some(({ path }) => isInitFork(path)) ? await sinceCheckpoint(dataDir, control, signal) : undefined;
  const isMadeAnew = (path: string): boolean => isInitFork(path) && history?.of(path)?.isDropped === false;
  return standIns.flatMap(({ path, kind }): Finding[] => {
    if (TABLESPACE.test(path)) return []; // Told with the links.
    if (kind === 'directory') return folders(path, seen, control, isMadeAnew(path));
    const says = `could not open directory "${path}": Not a directory`;
    return [{ code: 'database.file', path, evidence: 'it is no folder', severity: 'certain', postgresSays: says }];
  });
}

const isInitFork = (path: string): boolean => path.endsWith('_init');

function folders(path: string, { entries }: Walk, control: ControlFile, isMadeAnew: boolean): Finding[] {
  const [, , , segment] = RELATION.exec(path)!;
  const says = isInitFork(path) ? `could not read file "${path}": Is a directory` : `could not create file "${path}": File exists`;
  const folder: Finding = {
    code: isMadeAnew ? 'init-fork.folder' : 'relation.folder',
    path,
    evidence: 'it is a folder, and no file',
    severity: 'certain',
    postgresSays: says,
  };
  // Without a later segment the server takes the relation for shorter, and says nothing. It was there only if those before it are full.
  const before = entries.get(path.replace(/\.\d+$/, '') + (Number(segment) > 1 ? `.${Number(segment) - 1}` : ''));
  const isFull = before === undefined || before.sizeBytes === control.blockSizeBytes * control.blocksPerSegment;
  return segment !== undefined && isFull ? [folder, { ...folder, code: 'relation.missing', severity: 'suspect' }] : [folder];
}

/** The WAL that crash recovery will replay: it makes the init fork of a relation that is younger anew. Undefined where it cannot be read. */
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

/** A file that is gone may be missed by several: the surest word counts, once. */
export function once(findings: readonly Finding[]): Finding[] {
  const missed = findings.filter(({ code }) => code === 'relation.missing');
  const best = new Map(missed.map((finding) => [finding.path, finding]));
  for (const finding of missed) if (finding.severity === 'certain') best.set(finding.path, finding);
  return findings.filter((finding) => finding.code !== 'relation.missing' || best.get(finding.path) === finding);
}

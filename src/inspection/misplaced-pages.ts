import { closeSync, fstatSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { misplacedPage } from '../formats/btree.ts';
import { classRow, rowsOf } from '../formats/catalog-rows.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { parseFilenodeMap } from '../formats/filenode-map.ts';
import { mappedByOid } from '../formats/system-indexes.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { openPlainSync, readPlainSync } from '../machine/plain-file.ts';
import type { Finding } from './findings.ts';
import { databaseDirectories, FIRST_USER_OID } from './relations.ts';
import type { Entry, Walk } from './walk.ts';

const CLASS_OID = 1259; // pg_class.h

/**
 * Indexes of catalogs with a page in another's place: a session that asks them never comes back, where no checksum tells. Of a server that was shut down, as only
 * then all pages of a file are of one moment. `numbers`: of the databases to look at, beside what all share; undefined: every one.
 */
export function inspectMisplacedPages(
  dataDir: string,
  seen: Walk,
  control: ControlFile,
  numbers: ReadonlySet<string> | undefined,
  signal: AbortSignal,
): Finding[] {
  const homes = databaseDirectories(seen).filter((home) => numbers === undefined || numbers.has(home.slice(home.lastIndexOf('/') + 1)));
  return inspectHomes({ dataDir, seen, control, homes: ['global', ...homes] }, () => true, signal);
}

/** The same after a clean stop, for files that somebody wrote to since: few, whatever there is. No session need be lost to them. */
export function inspectTouchedIndexes(dataDir: string, seen: Walk, control: ControlFile, signal: AbortSignal): Finding[] {
  const stoppedMs = seen.entries.get('global/pg_control')?.mtimeMs ?? Number.POSITIVE_INFINITY; // The last file that a stop writes.
  const isTouched = ({ kind, mtimeMs }: Entry): boolean => kind === 'file' && mtimeMs > stoppedMs;
  const touched = new Set<string>();
  for (const entry of seen.entries.values()) if (isTouched(entry)) touched.add(dirname(entry.path));
  const homes = ['global', ...databaseDirectories(seen)].filter((home) => touched.has(home));
  return inspectHomes({ dataDir, seen, control, homes }, isTouched, signal);
}

interface Looked {
  readonly dataDir: string;
  readonly seen: Walk;
  readonly control: ControlFile;
  readonly homes: readonly string[];
}

function inspectHomes({ dataDir, seen, control, homes }: Looked, isWanted: (entry: Entry) => boolean, signal: AbortSignal): Finding[] {
  const { blockSizeBytes, blocksPerSegment } = control;
  return homes.flatMap((home) => {
    return catalogIndexes(dataDir, home, control).flatMap((path): Finding[] => {
      const entry = seen.entries.get(path);
      if (entry?.kind !== 'file' || !isWanted(entry)) return [];
      signal.throwIfAborted();
      if (entry.sizeBytes >= blockSizeBytes * blocksPerSegment) return []; // No catalog's index comes to a second segment.
      const block = misplacedIn(join(dataDir, path), blockSizeBytes);
      if (block === undefined) return [];
      return [{ code: 'catalog-index.damaged', path, evidence: `its pages lead round, or nowhere, at page ${block}`, severity: 'certain' }];
    });
  });
}

/** Files of indexes of catalogs, as the map and pg_class have them, also those of before a VACUUM FULL or a REINDEX. */
function catalogIndexes(dataDir: string, home: string, { major, blockSizeBytes }: ControlFile): string[] {
  const map = readable(() => parseFilenodeMap(readPlainSync(join(dataDir, home, 'pg_filenode.map'))));
  if (map === undefined || 'problem' in map) return [];
  const mapped = [...map.files].flatMap(([oid, file]) => (mappedByOid(oid).kind === 'index' ? [file] : []));
  const file = map.files.get(CLASS_OID);
  const pages = file === undefined ? undefined : readable(() => readPlainSync(join(dataDir, home, String(file))));
  const named: number[] = [];
  for (let at = 0; pages !== undefined && at + blockSizeBytes <= pages.length; at += blockSizeBytes)
    for (const { data } of rowsOf(pages.subarray(at, at + blockSizeBytes))) {
      const row = classRow(data, major);
      if (row?.kind === 'i' && row.oid < FIRST_USER_OID && row.file > 0) named.push(row.file);
    }
  return [...new Set([...mapped, ...named])].map((number) => `${home}/${number}`);
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    return unlessOwnTrouble(cause); // The server says what it cannot read.
  }
}

const misplacedIn = (file: string, blockSizeBytes: number): number | undefined =>
  readable(() => {
    const fd = openPlainSync(file);
    try {
      const blocks = Math.floor(fstatSync(fd).size / blockSizeBytes);
      return misplacedPage((block) => {
        if (block >= blocks) return undefined;
        const page = Buffer.allocUnsafe(blockSizeBytes);
        return readSync(fd, page, 0, blockSizeBytes, block * blockSizeBytes) === blockSizeBytes ? page : undefined;
      });
    } finally {
      closeSync(fd);
    }
  });

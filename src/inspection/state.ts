import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { parseControlFile, type ReadControl } from '../formats/control-file.ts';
import { serversIn } from '../instance/guard/servers-in.ts';
import { isWholeWithoutSync } from '../instance/initialize/marker.ts';
import { isUnmounted } from '../instance/places.ts';
import { clusterEntries } from '../instance/volume.ts';
import { errnoOf, isDenied } from '../kernel/errors.ts';
import { readPlainSync } from '../machine/plain-file.ts';
import type { Finding } from './findings.ts';
import type { InspectionReport } from './report.ts';

/** Something else stands where a file, or its directory, should be. */
const notAFile = new Set(['EISDIR', 'ENOTDIR']);

/** The resource that this process lacks, its rights too, which is no word about the disk. */
const shortages = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EACCES']);

/**
 * A system call failed for a reason that is neither "there is no such file", nor another thing in its place, nor a shortage of this process: the disk
 * or the mount did not answer.
 */
export const isDiskError = (cause: unknown): boolean => {
  const errno = errnoOf(cause) ?? '';
  return /^E[A-Z0-9]+$/.test(errno) && errno !== 'ENOENT' && !notAFile.has(errno) && !shortages.has(errno);
};

const FIRST_USER_OID = 16_384; // FirstNormalObjectId (src/include/access/transam.h)

/** Empty, somebody else's, a beginning of a cluster that never held a row, or a cluster. */
export async function stateOf(dataDir: string): Promise<InspectionReport['state']> {
  const entriesOf = (directory: string, closed: string[]): Promise<string[]> =>
    clusterEntries(directory).catch((cause: unknown) => (isDenied(cause) ? closed : Promise.reject(cause)));
  const names = new Set(await entriesOf(dataDir, ['PG_VERSION']));
  if (names.size === 0) return 'empty';
  if (names.has('dbkit.initializing')) {
    const isWhole = await isWholeWithoutSync(join(dataDir, 'dbkit.initializing')).catch(
      (cause: unknown) => isDenied(cause) || Promise.reject(cause),
    );
    return isWhole ? 'cluster' : 'unfinished';
  }
  if (!names.has('PG_VERSION') && !names.has('global') && !names.has('base')) return 'foreign';
  // initdb makes template1 first, as base/1, and the other databases last: with base/1 alone it never came to its end.
  const databases = names.has('base') ? (await entriesOf(join(dataDir, 'base'), ['0'])).filter((name) => /^\d+$/.test(name)) : [];
  return names.has('base') && databases.every((name) => name === '1') && neverUsed(dataDir) ? 'unfinished' : 'cluster';
}

/** No object of a user's was ever made: pg_control has given out no oid for one, or there is not even a whole template1. */
function neverUsed(dataDir: string): boolean {
  const read = readControl(dataDir);
  if ('control' in read) return read.control.nextOid <= FIRST_USER_OID;
  return read.why === 'missing' && lstatSync(join(dataDir, 'base/1/PG_VERSION'), { throwIfNoEntry: false }) === undefined;
}

/** An empty directory says little by itself: whether a server still works in it, and whether its volume is mounted. */
export const emptyFindings = async (state: InspectionReport['state'], dataDir: string, stateDir: string): Promise<Finding[]> =>
  state === 'empty' ? stateFindings(state, await serversIn(dataDir), await isUnmounted(stateDir, dataDir)) : stateFindings(state);

/** Findings of the state itself; a cluster's findings come from looking into it. */
function stateFindings(state: InspectionReport['state'], servers: readonly number[] = [], unmounted = false): Finding[] {
  if (servers.length > 0) {
    const evidence = `it was emptied while a server runs on it (pid ${servers[0]}), and the files that server has open are the last copies`;
    return [{ code: 'data.emptied', path: '.', evidence, severity: 'certain' }];
  }
  if (unmounted)
    return [
      {
        code: 'data.unmounted',
        path: '.',
        evidence: 'it is empty, and the volume that it lay on when the server last ran is not mounted',
        severity: 'certain',
      },
    ];
  if (state === 'unfinished')
    return [
      {
        code: 'data.unfinished',
        path: '.',
        evidence: 'an initialisation was interrupted before the server was ever ready',
        severity: 'info',
      },
    ];
  if (state === 'foreign')
    return [{ code: 'data.foreign', path: '.', evidence: 'there is neither PG_VERSION nor global nor base', severity: 'certain' }];
  return [];
}

/** pg_control, or what is wrong with it. Throws what a disk says that does not answer. */
export function readControl(dataDir: string): ReadControl {
  try {
    return parseControlFile(readPlainSync(join(dataDir, 'global/pg_control')));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return { problem: 'the file is missing', why: 'missing' };
    if (isDenied(cause)) return { problem: `it cannot be read (${errnoOf(cause)})`, why: 'unreadable' };
    if (notAFile.has(errnoOf(cause) ?? '')) return { problem: `it is no file (${errnoOf(cause)})`, why: 'damaged' };
    throw cause; // What the system cannot read now says nothing about what is there.
  }
}

/** The major version that PG_VERSION names; null where it names none. */
export function versionFile(dataDir: string): number | null {
  try {
    const version = Number.parseInt(readPlainSync(join(dataDir, 'PG_VERSION')).toString(), 10);
    return version >= 9 && version < 100 ? version : null;
  } catch {
    return null;
  }
}

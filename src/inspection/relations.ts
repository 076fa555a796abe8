import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import { parseFilenodeMap } from '../formats/filenode-map.ts';
import { mappedByOid } from '../formats/system-indexes.ts';
import type { Finding } from './findings.ts';
import type { Entry, Walk } from './walk.ts';

export const FIRST_USER_OID = 16_384; // FirstNormalObjectId (src/include/access/transam.h)
const BTREE_MAGIC = 0x053162; // src/include/access/nbtree.h; it stands in the metapage behind the page header.
const BTREE_MAGIC_AT = 24;

const found = new WeakMap<Walk, readonly string[]>();

/** The directories that hold a database's relations: each database, and each database in each tablespace. */
export function databaseDirectories(walk: Walk): readonly string[] {
  const known = found.get(walk);
  if (known) return known;
  const directories = [...walk.entries.values()]
    .filter(({ path, kind }) => kind === 'directory' && /^(base\/\d+|pg_tblspc\/\d+\/PG_[^/]+\/\d+)$/.test(path))
    .map(({ path }) => path);
  found.set(walk, directories);
  return directories;
}

/**
 * pg_filenode.map of global and of each database, and the catalog files it names. `severity` depends on the shutdown: of a missing or empty file in
 * the folder of a database too, as a CREATE or DROP DATABASE that a crash cut off leaves half a folder, which no server looks into.
 */
export function inspectCatalogs(dataDir: string, walk: Walk, severity: Finding['severity']): Finding[] {
  const homes = [
    ...(walk.entries.has('global') ? ['global'] : []),
    ...databaseDirectories(walk).filter((path) => walk.entries.has(`${path}/PG_VERSION`) || path.startsWith('base/')),
  ];
  return homes.flatMap((home) => inspectMap(dataDir, home, walk, severity));
}

function inspectMap(dataDir: string, home: string, { entries }: Walk, severity: Finding['severity']): Finding[] {
  const path = `${home}/pg_filenode.map`;
  const entry = entries.get(path);
  const map = entry?.kind === 'file' ? parseFilenodeMap(readFileSync(join(dataDir, path))) : { problem: 'the file is missing' };
  if ('problem' in map) {
    const says = entry
      ? `relation mapping file "${path}" contains incorrect checksum`
      : `could not open file "${path}": No such file or directory`;
    const isHalfMade = home !== 'global' && !entry?.sizeBytes;
    return [{ code: 'filenode-map.damaged', path, evidence: map.problem, severity: isHalfMade ? severity : 'certain', postgresSays: says }];
  }
  const isShared = home === 'global';
  const missing = (isShared ? sharedCatalogs : ownCatalogs).find((oid) => !map.files.has(oid));
  if (missing !== undefined) {
    const evidence = `it does not name catalog ${missing}, which every map of ${isShared ? 'the shared catalogs' : 'a database'} names`;
    return [
      { code: 'filenode-map.damaged', path, evidence, severity: 'certain', postgresSays: 'could not find relation mapping for relation' },
    ];
  }
  const findings: Finding[] = [];
  for (const [oid, file] of map.files) {
    const finding = inspectMapped(dataDir, `${home}/${file}`, oid, entries, severity);
    if (finding) findings.push(finding);
  }
  return findings;
}

/** pg_authid and pg_database: no server opens a database without them. */
const sharedCatalogs = [1260, 1262] as const;
/** pg_type, pg_attribute, pg_proc, pg_class. */
const ownCatalogs = [1247, 1249, 1255, 1259] as const;

/** pg_type, pg_attribute, pg_proc, pg_class, pg_tablespace, pg_authid, pg_database. */
const neverEmpty = new Set([1247, 1249, 1255, 1259, 1213, 1260, 1262]);

function inspectMapped(
  dataDir: string,
  path: string,
  oid: number,
  entries: Walk['entries'],
  severity: Finding['severity'],
): Finding | undefined {
  const there = entries.get(path);
  const entry = there?.kind === 'directory' ? undefined : there; // A folder holds nothing of it.
  const relation = mappedByOid(oid);
  const says = `could not open file "${path}": No such file or directory`;
  if (relation.kind === 'heap' && entry?.sizeBytes === 0 && neverEmpty.has(oid)) {
    return {
      code: 'catalog.missing',
      path,
      evidence: `the file of catalog ${oid} is empty, and that catalog never is`,
      ...(sharedCatalogs.some((one) => one === oid) ? { isEmpty: true as const } : {}), // Of the others the server says what it lacks.
      severity: path.startsWith('global/') ? 'certain' : severity,
      postgresSays: says,
    };
  }
  if (relation.kind === 'heap')
    return entry
      ? undefined
      : { code: 'catalog.missing', path, evidence: `the file of catalog ${oid} is missing`, severity, postgresSays: says };
  const evidence = !entry
    ? 'the file is missing'
    : entry.sizeBytes === 0
      ? 'the file is empty'
      : isBtree(dataDir, path)
        ? undefined
        : 'its first page is not that of an index';
  return evidence === undefined
    ? undefined
    : { code: 'catalog-index.damaged', path, evidence: `${relation.name}: ${evidence}`, severity, postgresSays: says };
}

/** A btree's first page bears its magic number. */
export function isBtree(dataDir: string, path: string): boolean {
  const head = Buffer.alloc(BTREE_MAGIC_AT + 4);
  const file = openSync(join(dataDir, path), 'r');
  try {
    return readSync(file, head, 0, head.length, 0) === head.length && head.readUInt32LE(BTREE_MAGIC_AT) === BTREE_MAGIC;
  } finally {
    closeSync(file);
  }
}

/** A file of a relation: its number, its fork, its segment. */
export const RELATION = /^(?:global|base\/\d+|pg_tblspc\/\d+\/PG_[^/]+\/\d+)\/(\d+)(?:_(fsm|vm|init))?(?:\.(\d+))?$/;

/** Sizes that no server leaves behind: not whole blocks, or a segment that is missing or short while a later one exists. */
export function inspectSizes({ entries }: Walk, control: ControlFile, severity: Finding['severity']): Finding[] {
  const findings: Finding[] = [];
  const fullBytes = control.blockSizeBytes * control.blocksPerSegment;
  for (const { path, kind, sizeBytes } of entries.values()) {
    if (kind !== 'file') continue;
    const match = RELATION.exec(path);
    if (!match) continue;
    const [, , fork, segment] = match;
    if (sizeBytes % control.blockSizeBytes !== 0) {
      const rebuilt = fork === 'fsm' || fork === 'vm';
      findings.push({
        code: rebuilt ? 'cache.damaged' : 'relation.truncated',
        path,
        evidence: `size ${sizeBytes} is not a multiple of ${control.blockSizeBytes}`,
        severity: rebuilt ? 'certain' : severity,
        postgresSays: `could not read block in file "${path}"`,
      });
    }
    if (segment === undefined || sizeBytes === 0) continue; // A relation that shrank leaves empty segments behind.
    const before = path.slice(0, -segment.length - 1) + (segment === '1' ? '' : `.${Number(segment) - 1}`);
    const previous = entries.get(before);
    if (!previous)
      findings.push({ code: 'relation.missing', path: before, evidence: `the segment is missing while ${path} exists`, severity });
    else if (previous.sizeBytes < fullBytes)
      findings.push({
        code: 'relation.truncated',
        path: before,
        evidence: `size ${previous.sizeBytes}, expected ${fullBytes}, as ${path} follows`,
        severity,
      });
  }
  return findings;
}

/** Of a catalog that was never written anew: its file bears the number of the catalog. */
export const isCatalogFile = (path: string): boolean => Number(RELATION.exec(path)?.[1]) < FIRST_USER_OID;

/** The meaning of the loss or change of one file, by its place. Undefined: nobody misses it. `sibling` finds the same file in another database. */
export function meaningOfLoss(dataDir: string, path: string, gone: boolean, walk: Walk): Finding['code'] | undefined {
  if (/^(pg_xact|pg_multixact)\//.test(path)) return 'slru.damaged';
  if (path.startsWith('pg_twophase/')) return 'prepared.damaged';
  if (path.endsWith('pg_filenode.map')) return 'filenode-map.damaged';
  if (path.endsWith('PG_VERSION')) return 'version-file.broken';
  if (path === 'global/pg_control') return 'control.damaged';
  const match = RELATION.exec(path);
  if (!match) return undefined;
  const [, number, fork] = match;
  if (fork === 'fsm' || fork === 'vm') return 'cache.damaged';
  if (Number(number) < FIRST_USER_OID && fork === undefined)
    return isCatalogIndex(dataDir, path, walk) ? 'catalog-index.damaged' : gone ? 'catalog.missing' : 'relation.changed';
  return gone ? 'relation.missing' : 'relation.changed';
}

/** Catalogs are numbered alike in every database that was not vacuumed fully: a sibling tells whether a lost file was an index. */
export function isCatalogIndex(dataDir: string, path: string, walk: Walk): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (!(Number(name) < FIRST_USER_OID)) return false;
  const sibling = databaseDirectories(walk)
    .map((home): Entry | undefined => walk.entries.get(`${home}/${name}`))
    .find((entry) => entry?.kind === 'file' && entry.path !== path && entry.sizeBytes > 0);
  return sibling !== undefined && isBtree(dataDir, sibling.path);
}

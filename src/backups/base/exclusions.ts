import type { BytePath } from '../../formats/byte-path.ts';

/** Directories that a backup keeps empty: the server removes or recreates their content at start (basebackup.c, excludeDirContents). */
export const emptiedDirectories: ReadonlySet<string> = new Set([
  'pg_stat_tmp',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_subtrans',
]);

/** Dropped at the top of PGDATA: basebackup.c's excludeFiles, what an earlier restore left, and what is dbkit's or the volume's own. */
const excludedAtTop: ReadonlySet<string> = new Set([
  'postgresql.auto.conf.tmp',
  'current_logfiles.tmp',
  'backup_label',
  'backup_label.old',
  'tablespace_map',
  'tablespace_map.old',
  'backup_manifest',
  'backup_manifest.tmp',
  'postmaster.pid',
  'postmaster.opts',
  'recovery.signal',
  'standby.signal',
  'patroni.dynamic.json', // What a Patroni member knows of its cluster: restored elsewhere it would be no member.
  '.dbkit',
  'dbkit.initializing',
  'lost+found',
]);

/** True if the entry `name` of `directory` stays out of a backup whatever it is. Relation files are judged by `relationFilter`. */
export function isExcluded(directory: BytePath, name: string): boolean {
  if (name.startsWith('pgsql_tmp') || name.startsWith('pg_internal.init')) return true;
  if (directory === '') return excludedAtTop.has(name) || name.startsWith('.dbkit');
  if (directory === 'pg_tblspc') return !/^\d+$/.test(name); // No tablespace, and a restored server could not recover beside it.
  return directory === 'global' && name === 'pg_control'; // Copied last, by its own step.
}

/** Only these hold relations of one database: `base/<oid>`, and the same below a tablespace's version directory. */
export const isDatabaseDirectory = (directory: BytePath): boolean => /^(base|pg_tblspc\/\d+\/PG_[^/]+)\/\d+$/.test(directory);

const relationFile = /^(\d+)(?:_(fsm|vm|init))?(?:\.(\d+))?$/;
const temporaryRelation = /^t\d+_\d+(_(fsm|vm|init))?(\.\d+)?$/;

/**
 * Which names of one database directory stay out: temporary relations, and every fork of an unlogged relation except `_init`, from which
 * the server rebuilds it (storage/file/reinit.c). Takes the whole listing, because an init fork may sort after what it excludes.
 */
export function relationFilter(names: readonly string[]): (name: string) => boolean {
  const unlogged = new Set(names.filter((name) => /^\d+_init$/.test(name)).map((name) => name.slice(0, -'_init'.length)));
  return (name) => {
    if (temporaryRelation.test(name)) return true;
    const match = relationFile.exec(name);
    return match !== null && match[2] !== 'init' && unlogged.has(match[1]!);
  };
}

/** The segment number of a relation file with page checksums (each 1 GB file counts its blocks on from the last); undefined for all others. */
export function checksummedSegment(path: BytePath): number | undefined {
  const slash = path.lastIndexOf('/');
  const directory = path.slice(0, Math.max(slash, 0)) as BytePath;
  if (directory !== 'global' && !isDatabaseDirectory(directory)) return undefined;
  const match = relationFile.exec(path.slice(slash + 1));
  return match ? Number(match[3] ?? 0) : undefined;
}

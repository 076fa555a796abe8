import type { Connection } from '../connection.ts';

/** A relation whose file is gone although the catalogs name it, or holds fewer blocks than at its last VACUUM or ANALYZE. */
export interface LostRelation {
  readonly database: string;
  /** Quoted and with its schema, as SQL takes it. */
  readonly relation: string;
  readonly kind: 'table' | 'index';
  readonly path: string;
  readonly isCatalog: boolean;
  /** Undefined when the file is gone. */
  readonly shrunk: { readonly fromBlocks: number; readonly toBlocks: number } | undefined;
  /** Its file was gone, and crash recovery made another one of what the WAL holds. */
  readonly madeAnew: boolean;
}

interface FileRow {
  readonly relation: string;
  readonly kind: string;
  readonly path: string;
  readonly catalog: boolean;
  readonly pages: number;
  readonly missing: boolean;
  readonly blocks: number;
}

/** Mapped relations have 0 there (relmapper.c); asking the function for each of twenty thousand rows takes a fifth of the question. */
const FILENODE = '(CASE WHEN c.relfilenode <> 0 THEN c.relfilenode ELSE pg_relation_filenode(c.oid) END)';

/**
 * The tablespaces that are there. A file in the place of a folder is an error for pg_stat_file, which asks for no file there: so each folder on the way
 * to a tablespace is looked at before what is in it, and a link that is gone is not followed.
 */
const PLACES = `
    links AS MATERIALIZED (
      SELECT s.oid, string_to_array(pg_tablespace_location(s.oid), '/') AS parts
        FROM pg_tablespace AS s
        JOIN pg_ls_dir('pg_tblspc') AS there(name) ON there.name = s.oid::text),
    way(oid, depth, is_there) AS (
      SELECT oid, 1, true FROM links
      UNION ALL
      SELECT oid, depth + 1, (pg_stat_file(array_to_string(parts[1:depth + 1], '/'), true)).isdir IS TRUE
        FROM way JOIN links USING (oid)
       WHERE is_there AND depth < cardinality(parts)),
    places AS MATERIALIZED (SELECT oid::text FROM way GROUP BY oid HAVING bool_and(is_there))`;

/** The folder of a relation's file is there. */
const HAS_FOLDER = `CASE WHEN path NOT LIKE 'pg_tblspc/%' THEN true
                        WHEN split_part(path, '/', 2) NOT IN (SELECT oid FROM places) THEN false
                        ${[3, 4].map((depth) => `WHEN (pg_stat_file(array_to_string((string_to_array(path, '/'))[1:${depth}], '/'), true)).isdir IS NOT TRUE THEN false`).join('\n                        ')}
                        ELSE true END`;

/**
 * Files that the catalogs name and that are gone, and logged tables of the user's that have fewer blocks than pg_class.relpages, which VACUUM and
 * ANALYZE write and a truncation resets: a file cut short beside a crash, or while the server ran, is found by nothing else, as a server reads it
 * to its end. Unlogged ones have no file before the end of a recovery (reinit.c); one that VACUUM works on is cut before its relpages are. One listing of the database's directory spares twenty thousand
 * relations a stat each; what is not in it is asked for by its own path, as it may lie in a tablespace, or just have been written anew. Sizes are
 * those of the files: pg_relation_size() would wait for whoever holds a lock on the table.
 */
const LOST_FILES = `
  WITH RECURSIVE ${PLACES}
  SELECT oid::regclass::text AS relation, kind, path, catalog, pages, size IS NULL AS missing,
         floor(size / current_setting('block_size')::int)::float8 AS blocks
    FROM (SELECT *, pg_relation_filepath(oid) AS path
            FROM (SELECT c.oid, c.relkind AS kind, c.oid < 16384 AS catalog, c.relpages AS pages, there.name IS NOT NULL AS listed,
                         c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 'u' AND c.oid >= 16384 AND c.relpages > 0 AS counted
                    FROM pg_class c
                    LEFT JOIN pg_ls_dir(regexp_replace(pg_relation_filepath('pg_class'), '/[^/]*$', '')) AS there(name)
                      ON there.name COLLATE "C" = ${FILENODE}::text AND c.reltablespace = 0
                   WHERE c.relkind IN ('r', 'i', 't', 'm', 'S') AND c.relpersistence <> 't'
                     AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
                  OFFSET 0) AS relations
           WHERE counted OR NOT listed
          OFFSET 0) AS files
   CROSS JOIN LATERAL (SELECT ${HAS_FOLDER}) AS folder(is_there)
   CROSS JOIN LATERAL (SELECT sum((pg_stat_file(path || CASE WHEN n > 0 THEN '.' || n ELSE '' END, true)).size)
                         FROM generate_series(0, greatest(pages - 1, 0) / (SELECT setting::int FROM pg_settings WHERE name = 'segment_size')) AS n
                        WHERE is_there) AS now(size)
   WHERE path IS NOT NULL
     AND CASE WHEN NOT is_there THEN true
              WHEN (pg_stat_file(path, true)).size IS NULL THEN true
              ELSE counted AND size < pages::float8 * current_setting('block_size')::int
                   AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE relid = oid) END`;

/** Those of `madeAnew` that are this database's. */
const MADE_ANEW = `
  SELECT oid::regclass::text AS relation, relkind AS kind, pg_relation_filepath(oid) AS path, oid < 16384 AS catalog, relpages AS pages,
         true AS missing, 0 AS blocks
    FROM pg_class
   WHERE relkind IN ('r', 'i', 't', 'm', 'S') AND pg_relation_filepath(oid) = ANY ($1)`;

/** Files that the session's database lacks; `anew`: paths of files that crash recovery has made. */
export async function lostFiles(session: Pick<Connection, 'query'>, database: string, anew: readonly string[]): Promise<LostRelation[]> {
  const first = await session.query<FileRow>(LOST_FILES);
  // A table that is dropped, rewritten or vacuumed at this moment looks like a lost one: what is lost is lost at a second look too.
  const still = new Set(first.length > 0 ? (await session.query<FileRow>(LOST_FILES)).map(({ path }) => path) : []);
  const rows = first.filter(({ path }) => still.has(path));
  const remade = anew.length > 0 ? await session.query<FileRow>(MADE_ANEW, [anew]) : [];
  return [...rows.filter(({ path }) => !anew.includes(path)), ...remade].map(
    ({ relation, kind, path, catalog, pages, missing, blocks }) => ({
      database,
      relation,
      kind: kind === 'i' ? 'index' : 'table',
      path,
      isCatalog: catalog,
      shrunk: missing ? undefined : { fromBlocks: pages, toBlocks: Number(blocks) },
      madeAnew: anew.includes(path),
    }),
  );
}

import type { Connection } from '../instance/connection.ts';
import type { IndexFacts, TableFacts } from './needs.ts';

/** A relation's size without a lock on it, which pg_relation_size() takes: as VACUUM last saw it, or its first gigabyte as it is on disk. */
const SIZE = `greatest(c.relpages::float8 * current_setting('block_size')::int,
                        coalesce((pg_stat_file(pg_relation_filepath(c.oid), true)).size, 0)::float8) AS size`;

/** Tables of the user's, those too that another session has locked. */
const TABLES = `
  SELECT format('%I.%I', s.schemaname, s.relname) AS name, ${SIZE}, s.n_live_tup::float8 AS live,
         s.n_dead_tup::float8 AS dead, s.n_mod_since_analyze::float8 AS changed,
         coalesce(s.last_analyze, s.last_autoanalyze) IS NOT NULL OR EXISTS (SELECT FROM pg_statistic WHERE starelid = s.relid) AS analyzed,
         100.0 * age(c.relfrozenxid) / current_setting('autovacuum_freeze_max_age')::float8 AS age
    FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
   WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'`;

/**
 * Indexes of the user's, those of values that are kept apart (TOAST) among them. What a b-tree over plain columns needs: an item of 8 bytes and its pointer of 4 for each row, its columns as wide as
 * ANALYZE saw them, rounded up to 8, on pages that are filled to 90 % (nbtree/README). Deduplication needs less, so this never promises too much
 * for few values.
 */
const INDEXES = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name, i.indrelid::regclass::text AS table, ${SIZE},
         i.indisvalid AS valid, c.relname ~ '_cc(new|old)\\d*$' AS leftover,
         CASE WHEN a.amname = 'btree' AND i.indexprs IS NULL AND i.indpred IS NULL AND c.reltuples > 0 AND w.known = i.indnatts
              THEN ceil(c.reltuples * (12 + ceil(w.width / 8.0) * 8) / (0.9 * (current_setting('block_size')::int - 40)))
                   * current_setting('block_size')::int END::float8 AS needed
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_am a ON a.oid = c.relam
    CROSS JOIN LATERAL (SELECT count(*) AS known, sum(s.stawidth) AS width
                          FROM pg_statistic s WHERE s.starelid = i.indrelid AND s.staattnum = ANY (i.indkey) AND NOT s.stainherit) w
   WHERE (n.nspname !~ '^pg_' OR n.nspname = 'pg_toast') AND n.nspname <> 'information_schema' AND i.indrelid >= 16384 AND c.relkind = 'i' AND c.relpersistence <> 't'`;

interface TableRow {
  readonly name: string;
  readonly size: number;
  readonly live: number;
  readonly dead: number;
  readonly changed: number;
  readonly analyzed: boolean;
  readonly age: number;
}
interface IndexRow {
  readonly name: string;
  readonly table: string;
  readonly size: number;
  readonly valid: boolean;
  readonly leftover: boolean;
  readonly needed: number | null;
}

/** The facts of the tables and indexes of a session's database; no table is read. */
export async function factsOf(
  session: Connection,
  database: string,
): Promise<{ readonly tables: readonly TableFacts[]; readonly indexes: readonly IndexFacts[] }> {
  const tables = await session.query<TableRow>(TABLES);
  const indexes = await session.query<IndexRow>(INDEXES);
  return {
    tables: tables.map(({ name, size, live, dead, changed, analyzed, age }) => ({
      ...{ database, name, sizeBytes: size, liveRows: live, deadRows: dead, changedRows: changed },
      ...{ isAnalyzed: analyzed, agePercent: Number(age) },
    })),
    indexes: indexes.map(({ name, table, size, valid, leftover, needed }) => ({
      ...{ database, name, table, sizeBytes: size, isValid: valid, isLeftover: leftover, neededBytes: needed },
    })),
  };
}

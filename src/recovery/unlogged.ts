import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { RelationName } from '../inspection/findings.ts';
import { walk } from '../inspection/walk.ts';
import type { Loss } from './losses.ts';

/**
 * Unlogged tables that hold rows, by their files: a table's init fork is empty, an index's is not (reinit.c). A backup holds none of those rows,
 * and after a crash the server empties the tables itself; so only a clean stop leaves something that a restore takes.
 */
export function unloggedTables(
  dataDir: string,
  signal: AbortSignal,
  heldRows = (main: string): boolean => (statSync(join(dataDir, main), { throwIfNoEntry: false })?.size ?? 0) > 0,
): RelationName[] {
  const { entries } = walk(dataDir, signal, (path) => path === 'base' || path.startsWith('base/') || path.startsWith('pg_tblspc'));
  return [...entries.values()].flatMap(({ path, sizeBytes }) => {
    const [, main, database, name] = /^((?:base|pg_tblspc\/\d+\/PG_[^/]+)\/(\d+)\/(\d+))_init$/.exec(path) ?? [];
    if (main === undefined || sizeBytes > 0) return [];
    return heldRows(main) ? [{ database: `with oid ${database}`, name: `with filenode ${name}` }] : [];
  });
}

export const unloggedLosses = (tables: readonly RelationName[], oldBytes: string | null): Loss[] =>
  tables.length > 0 ? [{ kind: 'unlogged', tables, oldBytes }] : [];

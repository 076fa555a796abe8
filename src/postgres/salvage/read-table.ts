import { wordsOf } from '../../core/errors.ts';
import type { PatientSession } from './session.ts';

/** A page that must be emptied while no server holds it. `path` is the relation's, within the cluster. */
export interface Wipe {
  readonly path: string;
  readonly block: number;
  readonly blockSizeBytes: number;
  readonly blocksPerSegment: number;
}

export interface UserTable {
  readonly schema: string;
  readonly name: string;
  readonly isView: boolean;
  readonly blocks: number;
  readonly blockSizeBytes: number;
  readonly blocksPerSegment: number;
  readonly paths: readonly string[];
}

/** Ordinary tables and populated materialized views; what an extension brings is the extension's to restore. */
export const TABLES = `
  SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'm' AS "isView",
         (pg_relation_size(c.oid) / current_setting('block_size')::int)::int AS blocks,
         current_setting('block_size')::int AS "blockSizeBytes",
         (SELECT setting::int FROM pg_settings WHERE name = 'segment_size') AS "blocksPerSegment",
         array_remove(ARRAY[pg_relation_filepath(c.oid), CASE WHEN c.reltoastrelid <> 0 THEN pg_relation_filepath(c.reltoastrelid) END], NULL) AS paths
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND c.relpersistence <> 't'
     AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
   ORDER BY 1, 2`;

export interface TableRead {
  readonly rows: number;
  readonly rowsLost: number;
  readonly because: string | null;
  readonly wipe: readonly Wipe[];
}

const HEADER_BYTES = 24; // Of a page (SizeOfPageHeaderData), and the least a row takes beside its 4-byte line pointer (bufpage.h, htup_details.h).

/**
 * Reads every column of every row as pg_dump will. Where that fails, halves the table until the rows are found that cannot be read, and removes
 * them from the copy; where a row cannot even be removed, its page is to be wiped.
 */
export async function readTable(session: PatientSession, table: UserTable): Promise<TableRead> {
  const name = `${session.id(table.schema)}.${session.id(table.name)}`;
  const found = { rows: 0, rowsLost: 0, wipe: [] as Wipe[] };
  let because: string | null = null;
  /** A row as text is every value of it, fetched from wherever it lies. */
  const count = async (where: string): Promise<number> => {
    const [row] = await session.query<{ rows: string }>(`SELECT count(t::text) AS rows FROM ONLY ${name} t ${where}`);
    return Number(row!.rows);
  };
  const within = (from: number, to: number): string => `WHERE ctid >= '(${from},0)'::tid AND ctid < '(${to},0)'::tid`;
  const read = async (from: number, to: number): Promise<void> => {
    try {
      found.rows += await count(within(from, to));
    } catch (cause) {
      because ??= wordsOf(cause);
      if (to - from > 1) {
        const middle = from + Math.floor((to - from) / 2);
        await read(from, middle);
        await read(middle, to);
      } else await readPage(from);
    }
  };
  const readPage = async (block: number): Promise<void> => {
    const lines = Math.floor((table.blockSizeBytes - HEADER_BYTES) / (HEADER_BYTES + 4));
    let kept = 0;
    let lost = 0;
    for (let line = 1; line <= lines; line += 1) {
      const here = `WHERE ctid = '(${block},${line})'::tid`;
      try {
        kept += await count(here);
      } catch {
        lost += 1;
        const isGone = await session.query(`DELETE FROM ONLY ${name} ${here}`).then(
          () => true,
          () => false,
        );
        if (isGone) continue;
        const { blockSizeBytes, blocksPerSegment } = table;
        found.wipe.push({ path: table.paths[0]!, block, blockSizeBytes, blocksPerSegment });
        found.rowsLost += lost + kept;
        return;
      }
    }
    found.rows += kept;
    found.rowsLost += lost;
  };
  try {
    found.rows = await count('');
  } catch (cause) {
    because = wordsOf(cause);
    if (table.isView) {
      await session.query(`REFRESH MATERIALIZED VIEW ${name} WITH NO DATA`);
      return { rows: 0, rowsLost: 0, because: `${because}; it is emptied, REFRESH MATERIALIZED VIEW fills it again`, wipe: [] };
    }
    await read(0, table.blocks);
  }
  return { ...found, because };
}

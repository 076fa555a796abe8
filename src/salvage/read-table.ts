import { FROM_DUMPED_TABLES } from '../backups/dump/contents.ts';
import { wordsOf } from '../kernel/errors.ts';
import { rebuildIndexes } from './rebuild-indexes.ts';
import type { PatientSession } from './session.ts';

/** A page that must be emptied while no server holds it. `path` is the relation's, within the cluster. */
export interface Wipe {
  readonly path: string;
  readonly block: number;
  readonly blockSizeBytes: number;
  readonly blocksPerSegment: number;
}

export interface UserTable {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly isView: boolean;
  /** How long it was when it was last vacuumed or analyzed. */
  readonly blocksKnown: number;
  readonly blockSizeBytes: number;
  readonly blocksPerSegment: number;
  readonly paths: readonly string[];
}

/** The content of a dump, with what must be known to read it around its damage. */
export const TABLES = `
  SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, c.relkind = 'm' AS "isView", c.relpages AS "blocksKnown",
         current_setting('block_size')::int AS "blockSizeBytes",
         (SELECT setting::int FROM pg_settings WHERE name = 'segment_size') AS "blocksPerSegment",
         array_remove(ARRAY[pg_relation_filepath(c.oid), CASE WHEN c.reltoastrelid <> 0 THEN pg_relation_filepath(c.reltoastrelid) END], NULL) AS paths
    ${FROM_DUMPED_TABLES}
   ORDER BY n.nspname, c.relname`;

export interface TableRead {
  /** How long it is. */
  readonly blocks: number;
  readonly rows: number;
  readonly rowsLost: number;
  readonly because: string | null;
  readonly wipe: readonly Wipe[];
  /** Not even its definition can be read: pg_dump cannot either. */
  readonly isUnknown: boolean;
}

const HEADER_BYTES = 24; // Of a page (SizeOfPageHeaderData), and the least a row takes beside its 4-byte line pointer (bufpage.h, htup_details.h).

/**
 * Reads every column of every row as pg_dump will. Where that fails, makes its indexes anew; where it still fails, halves the table until the rows
 * are found that cannot be read, and removes them from the copy; where a row cannot even be removed, its page is to be wiped.
 */
export async function readTable(session: PatientSession, table: UserTable): Promise<TableRead> {
  const name = `${session.id(table.schema)}.${session.id(table.name)}`;
  // By itself: it opens the table, which fails where the catalogs are damaged.
  const [blocks, sizeWords] = await session
    .query<{ blocks: number }>("SELECT (pg_relation_size($1::oid) / current_setting('block_size')::int)::int AS blocks", [table.oid])
    .then(
      ([row]): [number, string | undefined] => [row?.blocks ?? 0, undefined],
      (cause: unknown): [number, string | undefined] => [0, wordsOf(cause)],
    );
  const found = { blocks, rows: 0, rowsLost: 0, wipe: [] as Wipe[] };
  let because: string | null = null;
  /** A row as text is every value of it, fetched from wherever it lies. */
  const count = async (where: string): Promise<number> => {
    // ROW(t.*), as `t` alone may be a column.
    const [row] = await session.query<{ rows: string }>(`SELECT count(ROW(t.*)::text) AS rows FROM ONLY ${name} AS t ${where}`);
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
        if (await remove(session, name, here)) continue;
        const { blockSizeBytes, blocksPerSegment } = table;
        found.wipe.push({ path: table.paths[0]!, block, blockSizeBytes, blocksPerSegment });
        found.rowsLost += lost + kept;
        return;
      }
    }
    found.rows += kept;
    found.rowsLost += lost;
  };
  const whole = async (): Promise<string | null> =>
    count('').then((rows) => {
      found.rows = rows;
      return null;
    }, wordsOf);
  because = await whole();
  if (because !== null) {
    await rebuildIndexes(session, table.oid);
    because = await whole();
  }
  if (because === null) return { ...found, because, isUnknown: false };
  if (table.isView) {
    await session.query(`REFRESH MATERIALIZED VIEW ${name} WITH NO DATA`);
    return { ...found, because: `${because}; it is emptied, REFRESH MATERIALIZED VIEW fills it again`, isUnknown: false };
  }
  const words = sizeWords ?? (await session.query(`SELECT FROM ONLY ${name} LIMIT 0`).then(() => undefined, wordsOf));
  if (words !== undefined) return { ...found, because: `it is left out: ${words}`, isUnknown: true };
  await read(0, blocks);
  return { ...found, because, isUnknown: false };
}

/** False where the row withstands. A publication forbids it without a replica identity: the table has one for that moment (execReplication.c). */
async function remove(session: PatientSession, name: string, where: string): Promise<boolean> {
  const isGone = async (sql: string): Promise<boolean> => {
    try {
      await session.query(sql);
      return (await session.query(`SELECT FROM ONLY ${name} ${where}`)).length === 0; // A rule or a trigger may keep it without a word.
    } catch {
      return false;
    }
  };
  const plain = `DELETE FROM ONLY ${name} ${where}`;
  if (await isGone(plain)) return true;
  const [row] = await session.query<{ identity: string }>('SELECT relreplident AS identity FROM pg_class WHERE oid = $1::regclass', [name]);
  const back = { d: 'DEFAULT', n: 'NOTHING' }[row?.identity ?? ''];
  if (back === undefined) return false;
  return isGone(`ALTER TABLE ONLY ${name} REPLICA IDENTITY FULL; ${plain}; ALTER TABLE ONLY ${name} REPLICA IDENTITY ${back}`);
}

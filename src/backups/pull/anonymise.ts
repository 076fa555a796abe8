import { randomBytes } from 'node:crypto';
import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import { type Loader, type LoaderNeeds, openSession } from '../dump/loader.ts';
import type { Missing } from '../dump/missing.ts';
import { type ColumnType, hashOf, newValue } from './made-up.ts';
import { type ColumnRule, ruleWords } from './rules.ts';

/** One column after its rule was obeyed. JSON; fields are only ever added. */
export interface AnonymisedColumn {
  readonly table: string;
  readonly column: string;
  readonly how: string;
  /** Rows of the table, each of which was written. */
  readonly rows: number;
}

interface FoundColumn extends ColumnRule {
  readonly type: ColumnType;
}

const COLUMN = `
  SELECT relkind::text AS kind, typname AS name, typcategory::text AS category,
         CASE WHEN atttypmod > 4 AND typname IN ('varchar', 'bpchar') THEN atttypmod - 4 END AS "lengthMax",
         EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND ev_type = '2') AS "hasRule",
         EXISTS (WITH RECURSIVE family AS (SELECT c.oid UNION SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = family.oid)
                 SELECT FROM family JOIN pg_class m ON m.oid = family.oid WHERE m.relkind = 'f') AS "reachesAway"
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND attname = $3 AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_type t ON t.oid = atttypid
   WHERE nspname = $1 AND relname = $2`;

/** Every column that a rule names, as it is in the session's database. Rejects with `usage.invalid`, naming all that are not there. */
export async function findColumns(session: Connection, rules: readonly ColumnRule[]): Promise<readonly FoundColumn[]> {
  const missing: string[] = [];
  const found: FoundColumn[] = [];
  for (const one of rules) {
    const place = `${one.schema}.${one.table}.${one.column}`;
    type Row = { kind: string; name: string | null; category: string; lengthMax: number | null; hasRule: boolean; reachesAway: boolean };
    const [row] = await session.query<Row>(COLUMN, [one.schema, one.table, one.column]);
    if (row === undefined || row.name === null) missing.push(place);
    else if (row.kind === 'm') missing.push(`${place} (a materialized view is filled again from its tables: give the rule to them)`);
    else if (!['r', 'p'].includes(row.kind)) missing.push(`${place} (${one.table} is no table)`);
    else if (row.hasRule) missing.push(`${place} (a rule of the table would do something else)`);
    else if (row.reachesAway) missing.push(`${place} (a foreign table is below it, whose rows are another server's)`);
    else found.push({ ...one, type: { name: row.name, category: row.category, lengthMax: row.lengthMax } });
  }
  if (missing.length === 0) return found;
  throw new DbkitError('usage.invalid', `the rules name what is not there: ${missing.join(', ')}`, {
    hint: 'correct the names, or remove the lines; nothing was changed, and nothing of the data stays here',
  });
}

/**
 * Obeys the rules in one database, in which everything is still the loader's and nobody else may connect. Expressions of indexes and checks are the
 * database's own, so the loader does it, which may do nothing else; triggers are off meanwhile. Materialized views are filled again. The old values
 * are in no table, index or statistic any more; the WAL of this server has them. Rejects with `usage.invalid` and `command.failed`.
 */
export async function anonymise(
  needs: LoaderNeeds,
  { database, loader }: { readonly database: string; readonly loader: Loader },
  rules: readonly ColumnRule[],
  signal: AbortSignal,
): Promise<{ readonly columns: readonly AnonymisedColumn[]; readonly missing: readonly Missing[] }> {
  const session = await openSession(needs, database, signal);
  try {
    const found = await findColumns(session, rules);
    const keyOf = ({ schema, table }: ColumnRule): string => JSON.stringify([schema, table]);
    const tables = [...new Set(found.map(keyOf))].map((key) => found.filter((one) => keyOf(one) === key));
    const salt = session.escapeLiteral(randomBytes(16).toString('hex'));
    const columns: AnonymisedColumn[] = [];
    const inside = await loader.session(database);
    try {
      for (const table of tables) columns.push(...(await rewrite(inside, table, salt)));
      return { columns, missing: await refillViews(inside) };
    } finally {
      await inside.end();
    }
  } finally {
    await session.end();
  }
}

/** Populated ones, each after those that it is made of; oids are in the order in which pg_restore has made them. */
const VIEWS = `
  WITH RECURSIVE uses AS (
    SELECT DISTINCT w.ev_class AS of, d.refobjid AS used FROM pg_catalog.pg_rewrite w
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class),
  depths AS (
    SELECT oid, 0 AS depth FROM pg_catalog.pg_class WHERE relkind = 'm'
     UNION SELECT uses.of, depth + 1 FROM uses JOIN depths ON used = depths.oid WHERE depth < 100)
  SELECT pg_catalog.format('%I.%I', nspname, relname) AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace JOIN depths ON depths.oid = c.oid
   WHERE relkind = 'm' AND relispopulated
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e')
   GROUP BY c.oid, nspname, relname ORDER BY max(depth), c.oid`;

/** They were filled from the rows as they came. One that cannot be filled again is emptied, and told. */
async function refillViews(inside: Connection): Promise<Missing[]> {
  const missing: Missing[] = [];
  for (const { name } of await inside.query<{ name: string }>(VIEWS))
    try {
      await inside.query(`REFRESH MATERIALIZED VIEW ${name}`);
      await inside.query(`VACUUM (ANALYZE) ${name}`);
    } catch (cause) {
      if (sqlStateOf(cause) === undefined) throw cause;
      await inside.query(`REFRESH MATERIALIZED VIEW ${name} WITH NO DATA`);
      missing.push({ what: `materialized view data ${name}`, because: `it could not be filled again after the rules: ${wordsOf(cause)}` });
    }
  return missing;
}

/** The table, its partitions, and the tables that inherit from it, the deepest first: what an UPDATE of it writes. */
const FAMILY = `
  WITH RECURSIVE family AS (
    SELECT $1::pg_catalog.regclass::pg_catalog.oid AS oid, 0 AS depth
     UNION ALL SELECT inhrelid, depth + 1 FROM pg_catalog.pg_inherits JOIN family ON inhparent = family.oid)
  SELECT c.oid::pg_catalog.int8::pg_catalog.text AS oid, pg_catalog.format('%I.%I', nspname, relname) AS name, relispartition AND max(depth) > 0 AS "isPart"
    FROM family f JOIN pg_catalog.pg_class c ON c.oid = f.oid JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
   GROUP BY c.oid, nspname, relname, relispartition ORDER BY max(depth) DESC, c.oid`;

/**
 * All columns of one table, in one transaction. Its policies hold for the loader, too, where they are forced on the owner: they are not meanwhile. The
 * loader also counts, as the planner runs functions of its indexes, and would do so as whoever asks.
 */
async function rewrite(inside: Connection, columns: readonly FoundColumn[], salt: string): Promise<AnonymisedColumn[]> {
  const { schema, table } = columns[0]!;
  const [id, literal] = [inside.escapeIdentifier, inside.escapeLiteral];
  const name = `${id(schema)}.${id(table)}`;
  const shown = `${schema}.${table}`;
  const sets = columns.map(({ column, rule, type }) => {
    const value = newValue(rule, { type, hash: hashOf(id(column), salt), literal, place: `${shown}.${column}` });
    const kept = rule.kind === 'hash' || rule.kind === 'fake' ? `CASE WHEN ${id(column)} IS NULL THEN NULL ELSE ${value} END` : value;
    return `${id(column)} = ${kept}`;
  });
  const family = await inside.query<{ oid: string; name: string; isPart: boolean }>(FAMILY, [name]);
  await inside.query('BEGIN');
  const triggers = await inside.query<{ name: string; mode: string; of: string }>(
    `SELECT tgname AS name, tgenabled::text AS mode, pg_catalog.format('%I.%I', nspname, relname) AS of
       FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
      WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgparentid = 0
        AND tgrelid = ANY ($1::pg_catalog.oid[])`,
    [family.map(({ oid }) => oid)],
  );
  const [policies] = await inside.query<{ forced: boolean }>(
    'SELECT relforcerowsecurity AS forced FROM pg_catalog.pg_class WHERE oid = $1::pg_catalog.regclass',
    [name],
  );
  if (policies!.forced) await inside.query(`ALTER TABLE ${name} NO FORCE ROW LEVEL SECURITY`);
  for (const one of triggers) await inside.query(`ALTER TABLE ${one.of} DISABLE TRIGGER ${id(one.name)}`);
  const [written] = await inside.results(`UPDATE ${name} SET ${sets.join(', ')}`);
  const [counted] = await inside.query<{ count: string }>(`SELECT pg_catalog.count(*) AS count FROM ${name}`);
  for (const { name: trigger, mode, of } of triggers)
    await inside.query(`ALTER TABLE ${of} ENABLE ${modes[mode] ?? ''}TRIGGER ${id(trigger)}`);
  if (policies!.forced) await inside.query(`ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`);
  await inside.query('COMMIT');
  const rows = Number(counted!.count);
  if (written?.rowCount !== rows)
    throw new DbkitError('command.failed', `${rows - (written?.rowCount ?? 0)} rows of ${shown} keep what they hold`, {
      hint: 'leave the table out with --exclude-table-data; nothing was changed',
    });
  for (const one of family.filter(({ isPart }) => !isPart)) await inside.query(`VACUUM (FULL, ANALYZE) ${one.name}`); // Old rows, index entries and statistics hold what was there.
  return columns.map(({ column, rule }) => ({ table: shown, column, how: ruleWords(rule), rows }));
}

const modes: Readonly<Record<string, string>> = { A: 'ALWAYS ', R: 'REPLICA ' };

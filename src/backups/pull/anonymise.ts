import { randomBytes } from 'node:crypto';
import type { Connection } from '../../instance/connection.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { type LoaderNeeds, openSession, withLoader } from '../dump/loader.ts';
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
  readonly owner: string;
  readonly type: ColumnType;
}

const COLUMN = `
  SELECT pg_get_userbyid(relowner) AS owner, relkind::text AS kind, typname AS name, typcategory::text AS category,
         CASE WHEN atttypmod > 4 AND typname IN ('varchar', 'bpchar') THEN atttypmod - 4 END AS "lengthMax",
         EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND ev_type = '2') AS "hasRule"
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND attname = $3 AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_type t ON t.oid = atttypid
   WHERE nspname = $1 AND relname = $2`;

/** Every column that a rule names, as it is in the session's database. Rejects with `usage.invalid`, naming all that are not there. */
export async function findColumns(session: Connection, rules: readonly ColumnRule[]): Promise<readonly FoundColumn[]> {
  const missing: string[] = [];
  const found: FoundColumn[] = [];
  for (const one of rules) {
    const place = `${one.schema}.${one.table}.${one.column}`;
    type Row = { owner: string; kind: string; name: string | null; category: string; lengthMax: number | null; hasRule: boolean };
    const [row] = await session.query<Row>(COLUMN, [one.schema, one.table, one.column]);
    if (row === undefined || row.name === null) missing.push(place);
    else if (!['r', 'p'].includes(row.kind)) missing.push(`${place} (${one.table} is no table)`);
    else if (row.hasRule) missing.push(`${place} (a rule of the table would do something else)`);
    else found.push({ ...one, owner: row.owner, type: { name: row.name, category: row.category, lengthMax: row.lengthMax } });
  }
  if (missing.length === 0) return found;
  throw new DbkitError('usage.invalid', `the rules name what is not there: ${missing.join(', ')}`, {
    hint: 'correct the names, or remove the lines; nothing was changed, and nothing of the data stays here',
  });
}

/**
 * Obeys the rules in one database, which nobody else sees yet. Expressions of indexes and checks are the database's own, so a role does it that may do
 * nothing but be the owner of its tables; triggers are off meanwhile. What the old rows held is not in the tables, their indexes and their statistics
 * any more; the WAL of this server has it. Rejects with `usage.invalid` and `command.failed`.
 */
export async function anonymise(
  needs: LoaderNeeds,
  database: string,
  rules: readonly ColumnRule[],
  signal: AbortSignal,
): Promise<readonly AnonymisedColumn[]> {
  const session = await openSession(needs, database, signal);
  try {
    const columns = await findColumns(session, rules);
    const keyOf = ({ schema, table }: ColumnRule): string => JSON.stringify([schema, table]);
    const tables = [...new Set(columns.map(keyOf))].map((key) => columns.filter((one) => keyOf(one) === key));
    const salt = session.escapeLiteral(randomBytes(16).toString('hex'));
    const owners = [...new Set(columns.map(({ owner }) => owner))];
    const done: AnonymisedColumn[] = [];
    await withLoader(
      needs,
      owners,
      async (loader) => {
        const inside = await loader.session(database);
        try {
          for (const table of tables) done.push(...(await rewrite(inside, session, table, salt)));
        } finally {
          await inside.end();
        }
      },
      signal,
    );
    return done;
  } finally {
    await session.end();
  }
}

/** All columns of one table, in one transaction. */
async function rewrite(
  inside: Connection,
  session: Connection,
  columns: readonly FoundColumn[],
  salt: string,
): Promise<AnonymisedColumn[]> {
  const { schema, table } = columns[0]!;
  const [id, literal] = [inside.escapeIdentifier, inside.escapeLiteral];
  const name = `${id(schema)}.${id(table)}`;
  const shown = `${schema}.${table}`;
  const sets = columns.map(({ column, rule, type }) => {
    const value = newValue(rule, { type, hash: hashOf(id(column), salt), literal, place: `${shown}.${column}` });
    const kept = rule.kind === 'hash' || rule.kind === 'fake' ? `CASE WHEN ${id(column)} IS NULL THEN NULL ELSE ${value} END` : value;
    return `${id(column)} = ${kept}`;
  });
  await inside.query('BEGIN');
  const triggers = await inside.query<{ name: string; mode: string; of: string }>(
    `SELECT tgname AS name, tgenabled::text AS mode, pg_catalog.format('%I.%I', nspname, relname) AS of
       FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
      WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgparentid = 0
        AND tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1::regclass) UNION SELECT $1::regclass)`,
    [name],
  );
  for (const one of triggers) await inside.query(`ALTER TABLE ${one.of} DISABLE TRIGGER ${id(one.name)}`);
  const [written] = await inside.results(`UPDATE ${name} SET ${sets.join(', ')}`);
  for (const { name: trigger, mode, of } of triggers)
    await inside.query(`ALTER TABLE ${of} ENABLE ${modes[mode] ?? ''}TRIGGER ${id(trigger)}`);
  await inside.query('COMMIT');
  const [counted] = await session.query<{ count: string }>(`SELECT count(*) AS count FROM ${name}`);
  const rows = Number(counted!.count);
  if (written?.rowCount !== rows)
    throw new DbkitError(
      'command.failed',
      `${rows - (written?.rowCount ?? 0)} rows of ${shown} are hidden by a policy, and keep what they hold`,
      {
        hint: 'run ALTER TABLE … NO FORCE ROW LEVEL SECURITY at the source, or leave the table out with --exclude-table-data; nothing was changed',
      },
    );
  await inside.query(`VACUUM (FULL, ANALYZE) ${name}`); // Old rows, index entries and statistics hold what was there.
  return columns.map(({ column, rule }) => ({ table: shown, column, how: ruleWords(rule), rows }));
}

const modes: Readonly<Record<string, string>> = { A: 'ALWAYS ', R: 'REPLICA ' };

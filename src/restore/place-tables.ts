import { type Connection, sqlStateOf } from '../instance/connection.ts';
import type { BroughtTable, TablesReport } from './copies-contract.ts';
import type { GatheredTables } from './gather-tables.ts';

/**
 * Moves every table whose place is free there, with its partitions, and adds its foreign keys where they hold. The others stay in the schema
 * that they came in. One transaction: a kill leaves all of them beside.
 */
export async function placeTables(
  session: Connection,
  { schema, members, foreignKeys }: GatheredTables,
): Promise<Pick<TablesReport, 'besideSchema' | 'tables' | 'foreignKeysLeftOut' | 'suggestions'>> {
  const id = session.escapeIdentifier;
  const named = (home: string, name: string): string => `${id(home)}.${id(name)}`;
  const tables: BroughtTable[] = [];
  const leftOut: string[] = [];
  await session.query('BEGIN');
  try {
    for (const root of new Set(members.map((member) => member.root))) {
      const family = members.filter((member) => member.root === root);
      const taken = await placesTaken(session, family);
      const isInPlace = taken.length === 0;
      for (const member of isInPlace ? family : []) {
        await session.query(`CREATE SCHEMA IF NOT EXISTS ${id(member.schema)}`);
        await session.query(`ALTER TABLE ${named(schema, member.name)} SET SCHEMA ${id(member.schema)}`);
      }
      for (const { sql, isOwn } of isInPlace ? foreignKeys.filter((key) => key.root === root) : [])
        if (!(isOwn && (await holds(session, sql)))) leftOut.push(sql);
      for (const member of family) await session.query(`ANALYZE ${named(isInPlace ? member.schema : schema, member.name)}`);
      const rows = family.reduce((sum, member) => sum + member.rows, 0);
      tables.push({
        table: root,
        place: isInPlace ? root : `${schema}.${root.slice(family[0]!.schema.length + 1)}`,
        isInPlace,
        taken,
        rows,
      });
    }
    const besideSchema = tables.every(({ isInPlace }) => isInPlace) ? null : schema;
    if (besideSchema === null) await session.query(`DROP SCHEMA ${id(schema)}`);
    await session.query('COMMIT');
    // A partition that outlived its table is in the way too; with the whole there, its partitions are compared with it.
    const [first] = tables.filter(({ taken }) => taken.length > 0);
    const besides = first?.taken.includes(first.table) ? first.table : first?.taken[0];
    const beside = members.find((member) => `${member.schema}.${member.name}` === besides);
    const suggestions = beside
      ? [
          `SELECT * FROM ${named(schema, beside.name)} EXCEPT SELECT * FROM ${named(beside.schema, beside.name)};`,
          `INSERT INTO ${named(beside.schema, beside.name)} SELECT * FROM ${named(schema, beside.name)} ON CONFLICT DO NOTHING;`,
          `DROP SCHEMA ${id(schema)} CASCADE;`,
        ]
      : [];
    return { besideSchema, tables, foreignKeysLeftOut: leftOut, suggestions };
  } catch (cause) {
    await session.query('ROLLBACK').catch(() => undefined);
    throw cause;
  }
}

async function placesTaken(
  session: Connection,
  family: readonly { readonly schema: string; readonly name: string }[],
): Promise<readonly string[]> {
  const taken = await session.query<{ name: string }>(
    `SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY 1`,
    [family.map(({ schema }) => schema), family.map(({ name }) => name)],
  );
  return taken.map(({ name }) => name);
}

/** What it refers to may have changed since the backup: then the table is worth more without it. */
async function holds(session: Connection, sql: string): Promise<boolean> {
  await session.query('SAVEPOINT foreign_key');
  try {
    await session.query(sql);
    return true;
  } catch (cause) {
    if (sqlStateOf(cause) === undefined) throw cause;
    await session.query('ROLLBACK TO SAVEPOINT foreign_key');
    return false;
  }
}

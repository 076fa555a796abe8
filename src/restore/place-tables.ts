import type { Connection } from '../instance/connection.ts';
import type { BroughtTable, TablesReport } from './copies-contract.ts';
import type { CutForeignKey, GatheredTable, GatheredTables } from './gather-tables.ts';

/** A gathered table with the rows that were loaded, without its children's. */
export type CountedTable = GatheredTable & { readonly rows: number };

/**
 * Moves every table whose place is free there, with its partitions, and adds its foreign keys where they hold. The others stay in the schema
 * that they came in. One transaction: a kill leaves all of them beside. `addKey` adds a foreign key with the rights of the table's owner, as
 * the comparison of the rows may run the user's code; false where it does not hold.
 */
export async function placeTables(
  session: Connection,
  {
    schema,
    members,
    foreignKeys,
    owner,
  }: Omit<GatheredTables, 'members'> & { readonly members: readonly CountedTable[]; readonly owner: string },
  addKey: (key: CutForeignKey) => Promise<boolean>,
): Promise<Pick<TablesReport, 'besideSchema' | 'tables' | 'foreignKeysLeftOut' | 'suggestions'>> {
  const id = session.escapeIdentifier;
  const named = (home: string, name: string): string => `${id(home)}.${id(name)}`;
  const tables: BroughtTable[] = [];
  const keys: CutForeignKey[] = [];
  await session.query('BEGIN');
  try {
    for (const root of new Set(members.map((member) => member.root))) {
      const family = members.filter((member) => member.root === root);
      const taken = await placesTaken(session, family);
      const isInPlace = taken.length === 0;
      for (const member of isInPlace ? family : []) {
        await session.query(`CREATE SCHEMA IF NOT EXISTS ${id(member.schema)} AUTHORIZATION ${id(owner)}`);
        await session.query(`ALTER TABLE ${named(schema, member.name)} SET SCHEMA ${id(member.schema)}`);
      }
      if (isInPlace) keys.push(...foreignKeys.filter((key) => key.root === root));
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
    const leftOut: string[] = [];
    for (const key of keys) if (!(key.isOwn && (await addKey(key)))) leftOut.push(key.sql);
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

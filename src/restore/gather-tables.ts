import { writeName } from '../formats/identifiers.ts';
import type { Connection } from '../instance/connection.ts';
import { nearest } from '../kernel/closest-name.ts';
import { DbkitError } from '../kernel/errors.ts';

/** One table as it was, in the place that it had. */
export interface GatheredTable {
  readonly schema: string;
  readonly name: string;
  /** Its oid in the throw-away database, and whose it was. */
  readonly oid: number;
  readonly owner: string;
  /** The table that was asked for: itself, or the one it is a partition of. */
  readonly root: string;
}

/** Tables that were moved into one schema, which pg_dump takes whole. */
export interface GatheredTables {
  readonly schema: string;
  readonly members: readonly GatheredTable[];
  readonly foreignKeys: readonly CutForeignKey[];
}

/** Tied a table to one that stayed. */
export interface CutForeignKey {
  /** Adds it again, under the old names. */
  readonly sql: string;
  /** Which of the tables that were asked for lost it. */
  readonly root: string;
  /** It is that table's own; else another's, which refers to it. */
  readonly isOwn: boolean;
  readonly refersTo: Pick<GatheredTable, 'schema' | 'name'>;
}

interface Row {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly owner: string;
}

const USER_TABLES = `
  SELECT c.oid::bigint::float8 AS oid, n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

/**
 * Moves tables of a throw-away database into a schema of its own, with their partitions: indexes, constraints, triggers and owned sequences
 * move with them (ALTER TABLE … SET SCHEMA). What ties them to other tables is cut and remembered. Rejects with `usage.invalid` for a table that
 * there is not, or a name that several schemas have.
 */
export async function gatherTables(
  session: Connection,
  { tables, schema }: { readonly tables: readonly string[]; readonly schema: string },
): Promise<GatheredTables> {
  const id = session.escapeIdentifier;
  const named = (table: Pick<Row, 'schema' | 'name'>): string => `${id(table.schema)}.${id(table.name)}`;
  await silenceTriggers(session);
  const all = await session.query<Row>(USER_TABLES);
  const roots = tables.map((wanted) => find(wanted, all));
  const members: GatheredTable[] = [];
  for (const root of roots) {
    for (const member of await familyOf(session, root)) {
      if (members.some(({ oid }) => oid === member.oid)) continue;
      if (members.some(({ name }) => name === member.name))
        throw new DbkitError('usage.invalid', `two of these tables are called ${member.name}`, {
          hint: 'restore them one at a time',
        });
      members.push({ ...member, root: `${root.schema}.${root.name}` });
    }
  }
  await session.query("SET search_path = ''"); // Definitions then name every schema.
  const foreignKeys = await cutForeignKeys(session, members);
  for (const root of roots) await leaveParents(session, root, members);
  await session.query(`CREATE SCHEMA ${id(schema)}`);
  for (const member of members) await session.query(`ALTER TABLE ${named(member)} SET SCHEMA ${id(schema)}`);
  return { schema, members, foreignKeys };
}

/** Event triggers would run the user's code for every ALTER here, as the superuser. */
async function silenceTriggers(session: Connection): Promise<void> {
  for (const { name } of await session.query<{ name: string }>('SELECT evtname AS name FROM pg_event_trigger'))
    await session.query(`ALTER EVENT TRIGGER ${session.escapeIdentifier(name)} DISABLE`);
}

function find(wanted: string, all: readonly Row[]): Row {
  const isMeant = ({ schema, name }: Row): boolean =>
    [`${schema}.${name}`, name, writeName([schema, name]), writeName([name])].includes(wanted);
  const matching = all.filter(isMeant);
  const full = matching.map(({ schema, name }) => `${schema}.${name}`);
  if (matching.length === 1) return matching[0]!;
  if (matching.length > 1)
    throw new DbkitError('usage.invalid', `several tables match ${wanted}`, { hint: `there are: ${full.join(', ')}` });
  const close = nearest(
    wanted,
    all.map(({ schema, name }) => (wanted.includes('.') ? `${schema}.${name}` : name)),
  );
  throw new DbkitError('usage.invalid', `the backup holds no table ${wanted} in this database${close ? `; did you mean ${close}?` : ''}`, {
    hint: 'a table is named as schema.name; `dbkit backup open LABEL` looks into a base backup; nothing was changed',
  });
}

/** The table and everything below it: partitions of partitions, and tables that inherit from it. */
const familyOf = (session: Connection, { oid }: Row): Promise<Row[]> =>
  session.query<Row>(
    `WITH RECURSIVE family AS (SELECT $1::oid AS oid UNION SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = family.oid)
     SELECT t.* FROM (${USER_TABLES}) AS t JOIN family ON family.oid = t.oid::bigint::oid`,
    [oid],
  );

/** A partition, or a child, that comes without its parent. */
async function leaveParents(session: Connection, { oid, schema, name }: Row, members: readonly { readonly oid: number }[]): Promise<void> {
  const id = session.escapeIdentifier;
  const parents = await session.query<Row & { isPartition: boolean }>(
    `SELECT t.*, c.relispartition AS "isPartition" FROM pg_inherits i JOIN (${USER_TABLES}) AS t ON t.oid::bigint::oid = i.inhparent
       JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhrelid = $1::oid`,
    [oid],
  );
  for (const parent of parents.filter((one) => !members.some((member) => member.oid === one.oid))) {
    const [child, from] = [`${id(schema)}.${id(name)}`, `${id(parent.schema)}.${id(parent.name)}`];
    await session.query(parent.isPartition ? `ALTER TABLE ${from} DETACH PARTITION ${child}` : `ALTER TABLE ${child} NO INHERIT ${from}`);
  }
}

interface ForeignKeyRow {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly definition: string;
  readonly own: number;
  readonly other: number;
  readonly refersTo: CutForeignKey['refersTo'];
}

/** Foreign keys to and from tables that stay; those among the tables themselves move with them. */
async function cutForeignKeys(
  session: Connection,
  members: readonly { readonly oid: number; readonly root: string }[],
): Promise<CutForeignKey[]> {
  const id = session.escapeIdentifier;
  const keys = await session.query<ForeignKeyRow>(
    `SELECT n.nspname AS schema, c.relname AS table, k.conname AS name, pg_get_constraintdef(k.oid) AS definition,
            k.conrelid::bigint::float8 AS own, k.confrelid::bigint::float8 AS other, jsonb_build_object('schema', f.nspname, 'name', t.relname) AS "refersTo"
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace f ON f.oid = t.relnamespace
      WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid::bigint = ANY ($1::bigint[])) <> (k.confrelid::bigint = ANY ($1::bigint[]))
      ORDER BY k.conrelid::bigint = ANY ($1::bigint[]) DESC, 1, 2, 3`,
    [members.map(({ oid }) => oid)],
  );
  for (const { schema, table, name } of keys) await session.query(`ALTER TABLE ${id(schema)}.${id(table)} DROP CONSTRAINT ${id(name)}`);
  const rootOf = (oid: number): string | undefined => members.find((member) => member.oid === oid)?.root;
  return keys.map(({ schema, table, name, definition, own, other, refersTo }) => ({
    sql: `ALTER TABLE ${id(schema)}.${id(table)} ADD CONSTRAINT ${id(name)} ${definition}`,
    root: (rootOf(own) ?? rootOf(other))!,
    isOwn: rootOf(own) !== undefined,
    refersTo,
  }));
}

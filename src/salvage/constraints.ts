import { wordsOf } from '../kernel/errors.ts';
import type { PatientSession } from './session.ts';

interface Constraint {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly definition: string;
}

const FOREIGN_KEYS = `
  SELECT n.nspname AS schema, c.relname AS table, k.conname AS name, pg_get_constraintdef(k.oid) AS definition
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE k.contype = 'f' AND k.conparentid = 0 AND k.convalidated
     AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   ORDER BY 1, 2, 3`;

/** Those of a partition belong to the whole table's: only that one can be let go of. */
const INDEXES = `
  SELECT n.nspname AS schema, c.relname AS name, rn.nspname AS "rootSchema", r.relname AS root, t.relname AS table, k.conname AS constraint
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class r ON r.oid = CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid ELSE c.oid END
    JOIN pg_namespace rn ON rn.oid = r.relnamespace JOIN pg_index ri ON ri.indexrelid = r.oid JOIN pg_class t ON t.oid = ri.indrelid
    LEFT JOIN pg_constraint k ON k.conindid = r.oid AND k.contype IN ('p', 'u', 'x')
   WHERE (NOT i.indisvalid OR $1 AND (i.indisunique OR i.indisexclusion)) AND c.relkind = 'i'
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   ORDER BY 1, 2`;

/**
 * Lets go of what the rows that are left do not satisfy, so that the dump can be restored. A foreign key whose rows point to lost ones stays as
 * NOT VALID: it holds for whatever is written from now on. Resolves to what was done, in words.
 */
export async function loosenConstraints(session: PatientSession, { unique }: { readonly unique: boolean }): Promise<string[]> {
  return [...(await loosenIndexes(session, unique)), ...(await loosenForeignKeys(session))];
}

async function loosenIndexes(session: PatientSession, unique: boolean): Promise<string[]> {
  const { id } = session;
  const done: string[] = [];
  const gone = new Set<string>();
  const indexes = await session.query<{
    schema: string;
    name: string;
    rootSchema: string;
    root: string;
    table: string;
    constraint: string | null;
  }>(INDEXES, [unique]);
  for (const { schema, name, rootSchema, root, table, constraint } of indexes) {
    const index = `${id(rootSchema)}.${id(root)}`;
    if (gone.has(index)) continue;
    const words = await session.query(`REINDEX INDEX ${id(schema)}.${id(name)}`).then(() => undefined, wordsOf);
    if (words === undefined) continue;
    gone.add(index);
    const drop = constraint ? `ALTER TABLE ${id(rootSchema)}.${id(table)} DROP CONSTRAINT ${id(constraint)}` : `DROP INDEX ${index}`;
    const also = await session.query(drop).then(
      () => '',
      async (cause: unknown) => {
        await session.query(`${drop} CASCADE`);
        return `; with it went what needs it: ${detailOf(cause)}`;
      },
    );
    done.push(`${constraint ?? root} of ${rootSchema}.${table} was left out: ${words}${also}`);
  }
  return done;
}

async function loosenForeignKeys(session: PatientSession): Promise<string[]> {
  const done: string[] = [];
  const { id } = session;
  for (const key of await session.query<Constraint>(FOREIGN_KEYS)) {
    const [table, name] = [`${id(key.schema)}.${id(key.table)}`, id(key.name)];
    const again = (as: string): string =>
      `ALTER TABLE ${table} DROP CONSTRAINT ${name}; ALTER TABLE ${table} ADD CONSTRAINT ${name} ${key.definition}${as}`;
    const words = await session.query(again('')).then(() => undefined, wordsOf);
    if (words === undefined) continue;
    const isKept = await session.query(again(' NOT VALID')).then(
      () => true,
      () => false,
    );
    const left = isKept ? undefined : await session.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`).then(() => undefined, wordsOf);
    const how = isKept ? 'is NOT VALID now: it holds for new rows only' : left === undefined ? 'was left out' : 'could not be left out';
    done.push(`${key.name} of ${key.schema}.${key.table} ${how}: ${words}`);
  }
  return done;
}

/** Which objects depend on what was to be dropped stands in the server's detail. */
function detailOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { detail } = thrown as Error & { detail?: unknown };
  if (typeof detail === 'string' && detail !== '') return detail.split('\n').join(', ');
  return thrown.cause === undefined ? thrown.message : detailOf(thrown.cause);
}

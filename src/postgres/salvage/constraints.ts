import { wordsOf } from '../../core/errors.ts';
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

const UNIQUE_INDEXES = `
  SELECT n.nspname AS schema, t.relname AS table, c.relname AS name, k.conname AS constraint
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')
   WHERE (i.indisunique OR i.indisexclusion) AND c.relkind = 'i' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   ORDER BY 1, 2, 3`;

/**
 * Lets go of what the rows that are left do not satisfy, so that the dump can be restored. A foreign key whose rows point to lost ones stays as
 * NOT VALID: it holds for whatever is written from now on. Resolves to what was done, in words.
 */
export async function loosenConstraints(session: PatientSession, { unique }: { readonly unique: boolean }): Promise<string[]> {
  const done: string[] = [];
  const { id } = session;
  if (unique) {
    for (const index of await session.query<{ schema: string; table: string; name: string; constraint: string | null }>(UNIQUE_INDEXES)) {
      const [table, name] = [`${id(index.schema)}.${id(index.table)}`, `${id(index.schema)}.${id(index.name)}`];
      const words = await session.query(`REINDEX INDEX ${name}`).then(() => undefined, wordsOf);
      if (words === undefined) continue;
      await session.query(index.constraint ? `ALTER TABLE ${table} DROP CONSTRAINT ${id(index.constraint)} CASCADE` : `DROP INDEX ${name}`);
      done.push(`${index.constraint ?? index.name} of ${index.schema}.${index.table} was left out: ${words}`);
    }
  }
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
    if (!isKept) await session.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
    done.push(
      `${key.name} of ${key.schema}.${key.table} ${isKept ? 'is NOT VALID now: it holds for new rows only' : 'was left out'}: ${words}`,
    );
  }
  return done;
}

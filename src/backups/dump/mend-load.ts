import type { Connection } from '../../instance/connection.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { DumpedDatabase, DumpedTable, DumpManifest } from './manifest.ts';
import type { Missing } from './missing.ts';
import { splitNames } from './settings.ts';

const PATHLESS = `
  SELECT n.nspname AS schema, i.identity
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang,
         LATERAL pg_catalog.pg_identify_object('pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0) AS i
   WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND l.lanname NOT IN ('c', 'internal') AND p.prokind IN ('f', 'p', 'w')
     AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS c WHERE c ~ '^search_path=')
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')`;

/**
 * pg_restore sets an empty search_path, and functions that name others without their schema fail under it, in indexes, checks and views. For as
 * long as they are needed each is given the path that sessions of the database have, then its own schema. Resolves to what takes that back.
 */
export async function giveFunctionsAPath(session: Connection, path: readonly string[]): Promise<() => Promise<void>> {
  const functions = await session.query<{ schema: string; identity: string }>(PATHLESS);
  const all = async (change: (schema: string) => string): Promise<void> => {
    if (functions.length > 0)
      await session.tuples(functions.map(({ schema, identity }) => `ALTER ROUTINE ${identity} ${change(schema)};`).join('\n'));
  };
  const id = session.escapeIdentifier;
  await all((schema) => `SET search_path TO ${[...new Set([...path, schema])].map(id).join(', ')}`);
  return () => all(() => 'RESET search_path');
}

/** Pure. The search_path of the owner's sessions in this database: what is set for the role there, for the role, for the database (guc.c). */
export function usualPath({ roles }: Pick<DumpManifest, 'roles'>, { owner, settings, roleSettings }: DumpedDatabase): string[] {
  const ofRole = roles.find(({ name }) => name === owner)?.settings ?? [];
  const candidates = [roleSettings.filter(({ role }) => role === owner), ofRole, settings].flat();
  const set = candidates.find(({ name }) => name === 'search_path')?.value ?? '"$user", public';
  return splitNames(set).map((name) => (name === '$user' ? owner : name));
}

interface Check {
  readonly kind: 'TABLE' | 'DOMAIN';
  readonly schema: string;
  readonly of: string;
  readonly name: string;
  readonly definition: string;
}

/** Checks of these tables, of the tables they inherit from, and of the domains that their columns have. */
const CHECKS = `
  WITH RECURSIVE family AS (
    SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE (n.nspname, c.relname) IN (SELECT s, t FROM unnest($1::text[], $2::text[]) AS u (s, t))
     UNION SELECT inhparent FROM pg_catalog.pg_inherits JOIN family ON inhrelid = family.oid)
  SELECT 'TABLE' AS kind, n.nspname AS schema, c.relname AS of, k.conname AS name, pg_catalog.pg_get_constraintdef(k.oid) AS definition
    FROM pg_catalog.pg_constraint k JOIN family f ON f.oid = k.conrelid JOIN pg_catalog.pg_class c ON c.oid = f.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE k.contype = 'c' AND k.coninhcount = 0
   UNION
  SELECT 'DOMAIN', n.nspname, t.typname, k.conname, pg_catalog.pg_get_constraintdef(k.oid)
    FROM pg_catalog.pg_attribute a JOIN family f ON f.oid = a.attrelid JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE k.contype = 'c'`;

/**
 * Rows that a check no longer lets in are worth more than the check: it is taken away while `load` brings them, and comes back as NOT VALID where
 * they do not hold it. In the loader's own session, as checks are the user's code.
 */
export async function withoutChecks(session: Connection, tables: readonly DumpedTable[], load: () => Promise<void>): Promise<Missing[]> {
  const id = session.escapeIdentifier;
  const checks = await session.query<Check>(CHECKS, [tables.map(({ schema }) => schema), tables.map(({ name }) => name)]);
  const alter = ({ kind, schema, of, name }: Check, what: string): Promise<unknown> =>
    session.query(`ALTER ${kind} ${id(schema)}.${id(of)} ${what} CONSTRAINT ${id(name)}`);
  for (const check of checks) await alter(check, 'DROP');
  await load();
  const broken: Missing[] = [];
  for (const check of checks) {
    const { kind, schema, of, name, definition } = check;
    try {
      const added = definition.replace(/ NOT VALID$/, '');
      await session.query(`ALTER ${kind} ${id(schema)}.${id(of)} ADD CONSTRAINT ${id(name)} ${added} NOT VALID`);
      if (added === definition) await alter(check, 'VALIDATE');
    } catch (cause) {
      if (!(cause instanceof DbkitError)) throw cause;
      broken.push({
        what: `check ${name} of ${schema}.${of}`,
        because: `its rows do not hold it, so it is NOT VALID now: ${wordsOf(cause)}`,
      });
    }
  }
  return broken;
}

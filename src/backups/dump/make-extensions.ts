import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import type { Authority } from './archive.ts';
import type { Loader } from './loader.ts';
import type { DumpedDatabase } from './manifest.ts';
import type { Missing } from './missing.ts';

type Extension = DumpedDatabase['extensions'][number];

/** PostgreSQL lets only superusers make these, and none of them reaches files, programs or other servers. */
const harmless: ReadonlySet<string> = new Set(['bloom', 'pg_stat_statements', 'postgis', 'vector']);

interface Made {
  /** Those that may be made. */
  readonly extensions: readonly Extension[];
  /** Those that cannot be made in a database of this name. */
  readonly late: string[];
  readonly refused: readonly Missing[];
}

/** The extensions of a dump; of a stranger's only those that an owner of a database could have made (`trusted`, from 13 on), or that do no harm. */
export async function makeExtensions(
  session: Connection,
  loader: Loader,
  wanted: readonly Extension[],
  { isTrusted, withheld }: Authority,
): Promise<Made> {
  const known = await session.query<{ name: string }>(
    "SELECT DISTINCT name FROM pg_catalog.pg_available_extension_versions AS v WHERE pg_catalog.to_jsonb(v) ->> 'trusted' = 'true'",
  );
  const trusted = new Set(known.map(({ name }) => name));
  const mayBeMade = ({ name }: Extension): boolean => isTrusted || trusted.has(name) || harmless.has(name);
  const extensions = wanted.filter(mayBeMade);
  const others = wanted.filter((one) => !mayBeMade(one)).map(({ name }) => `extension ${name}`);
  withheld.push(...others);
  const late: string[] = [];
  for (const extension of extensions) {
    try {
      await makeExtension(session, extension, loader);
    } catch (cause) {
      if (sqlStateOf(cause) === undefined) throw cause;
      late.push(extension.name);
    }
  }
  const because = 'it gives rights of a superuser, and nobody knows who made this dump';
  return { extensions, late, refused: others.map((what) => ({ what, because })) };
}

/** In the schema that it had; one that is not there is made for the loader, as the dump would. */
export async function makeExtension(session: Connection, { name, schema = 'public' }: Extension, loader: Loader): Promise<void> {
  const id = session.escapeIdentifier;
  const there = await session.query('SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1', [schema]);
  if (there.length === 0) await session.query(`CREATE SCHEMA ${id(schema)} AUTHORIZATION ${id(loader.name)}`);
  await session.query(`CREATE EXTENSION IF NOT EXISTS ${id(name)} WITH SCHEMA ${id(schema)}`);
}

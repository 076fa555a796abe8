import { ownArchive, withArchive } from '../backups/dump/archive.ts';
import type { Loader, LoaderNeeds } from '../backups/dump/loader.ts';
import type { Missing } from '../backups/dump/missing.ts';
import type { DumpTools } from '../backups/dump/tools.ts';
import { type Connection, sqlStateOf } from '../instance/connection.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { GatheredTables } from './gather-tables.ts';
import type { CountedTable } from './place-tables.ts';

interface LoadingTables {
  readonly archive: string;
  readonly tools: DumpTools;
  readonly loader: Loader;
  readonly target: string;
  readonly owner: string;
}

/**
 * Loads gathered tables into a schema of their own, as the loader, counts them there and gives them to their owner. What fails beside the rows
 * is told; a row too few, and the schema is dropped again. Rejects with `data.corrupt`.
 */
export async function loadTables(
  needs: LoaderNeeds,
  session: Connection,
  { schema, members }: Pick<GatheredTables, 'schema'> & { readonly members: readonly CountedTable[] },
  { archive, tools, loader, target, owner }: LoadingTables,
  signal: AbortSignal,
): Promise<Missing[]> {
  const id = session.escapeIdentifier;
  await session.query(`CREATE SCHEMA ${id(schema)} AUTHORIZATION ${id(loader.name)}`);
  const opening = { directory: archive, database: target, tools, loader, withTablespaces: false, jobs: 1, authority: ownArchive };
  await openSchemas(session, loader);
  try {
    return await withArchive(
      opening,
      needs,
      async ({ order, run }) => {
        const missing: Missing[] = [];
        const load = async (group: 'before' | 'data' | 'indexes' | 'after' | 'privileges', as: 'loader' | 'superuser'): Promise<void> => {
          const failed = await run(order[group], as);
          for (const { id: entry, type, label } of order[group])
            if (failed.has(entry)) missing.push({ what: `${type.toLowerCase()} ${label}`, because: failed.get(entry)! });
        };
        await load('before', 'loader');
        await load('data', 'loader');
        await requireRows(loader, target, { schema, members }, missing);
        await load('indexes', 'loader');
        await load('after', 'loader');
        await session.query(`REASSIGN OWNED BY ${id(loader.name)} TO ${id(owner)}`);
        await load('privileges', 'superuser');
        return missing;
      },
      signal,
    );
  } catch (cause) {
    await session.query(`DROP SCHEMA IF EXISTS ${id(schema)} CASCADE`).catch(() => undefined);
    throw cause;
  }
}

/** Types and functions that the tables name may lie in schemas that not everybody may use; what is granted here goes with the role. */
async function openSchemas(session: Connection, { name }: Loader): Promise<void> {
  const id = session.escapeIdentifier;
  const closed = await session.query<{ schema: string }>(
    `SELECT nspname AS schema FROM pg_namespace WHERE nspname !~ '^pg_' AND NOT has_schema_privilege($1, oid, 'USAGE')`,
    [name],
  );
  for (const { schema } of closed) await session.query(`GRANT USAGE ON SCHEMA ${id(schema)} TO ${id(name)}`);
}

async function requireRows(
  loader: Loader,
  target: string,
  { schema, members }: { readonly schema: string; readonly members: readonly CountedTable[] },
  missing: readonly Missing[],
): Promise<void> {
  const own = await loader.session(target);
  try {
    const id = own.escapeIdentifier;
    for (const { name, rows } of members) {
      const [found] = await own
        .query<{ rows: string }>(`SELECT count(*) AS rows FROM ONLY ${id(schema)}.${id(name)}`)
        .catch((cause: unknown) => {
          if (sqlStateOf(cause) === undefined) throw cause;
          return [{ rows: `uncountable (${wordsOf(cause)})` }];
        });
      if (found!.rows === String(rows)) continue;
      const why = missing[0] ? ` (${missing[0].because})` : '';
      throw new DbkitError('data.corrupt', `${name} has ${found!.rows} rows instead of ${rows} after the restore${why}`, {
        hint: 'what was loaded has been dropped again, nothing else was changed: try another backup of `dbkit backup list`',
      });
    }
  } finally {
    await own.end();
  }
}

/** The SQL of an extension around a restore: SQL in the new database, before and after pg_restore. */
export interface Around {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** By extension, given its schema as SQL names it, with the source of the fact. */
const needs: Readonly<Record<string, (schema: string) => Around>> = {
  // TimescaleDB's documentation, "Logical backups with pg_dump and pg_restore": its catalog must not act while its own rows are loaded.
  timescaledb: (schema) => ({
    before: [`SELECT ${schema}.timescaledb_pre_restore()`],
    after: [`SELECT ${schema}.timescaledb_post_restore()`],
  }),
};

/**
 * The SQL for these extensions, which are made already, in their order; afterwards in the reverse one. Each function is named with the schema that
 * the extension was made in, as a session's search_path holds none of the user's. Pure.
 */
export function aroundRestore(
  extensions: readonly { readonly name: string; readonly schema?: string | undefined }[],
  escapeIdentifier: (name: string) => string,
): Around {
  const special = extensions.flatMap(({ name, schema = 'public' }) => needs[name]?.(escapeIdentifier(schema)) ?? []);
  return { before: special.flatMap(({ before }) => before), after: special.toReversed().flatMap(({ after }) => after) };
}

/** The SQL of an extension around a restore: SQL in the new database, before and after pg_restore. */
export interface Around {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** By extension, with the source of the fact. */
const needs: Readonly<Record<string, Around>> = {
  // TimescaleDB's documentation, "Logical backups with pg_dump and pg_restore": its catalog must not act while its own rows are loaded.
  timescaledb: {
    before: ['CREATE EXTENSION IF NOT EXISTS timescaledb', 'SELECT timescaledb_pre_restore()'],
    after: ['SELECT timescaledb_post_restore()'],
  },
};

/** The SQL for these extensions, in their order; afterwards in the reverse one. Pure. */
export function aroundRestore(extensions: readonly { readonly name: string }[]): Around {
  const special = extensions.flatMap(({ name }) => needs[name] ?? []);
  return { before: special.flatMap(({ before }) => before), after: special.toReversed().flatMap(({ after }) => after) };
}

import type { Connection } from '../../instance/connection.ts';

/** One setting of a role or a database, as the catalogs keep it. */
export interface DumpedSetting {
  readonly name: string;
  readonly value: string;
}

/** Lists of names: as one literal they would be one name (PostgreSQL's GUC_LIST_QUOTE; pg_dump, dumputils.c, variable_is_guc_list_quote). */
const lists = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** Pure. The array of `name=value` that pg_roles and pg_db_role_setting hold. */
export const listSettings = (config: readonly string[] | null): DumpedSetting[] =>
  (config ?? []).map((line) => ({ name: line.slice(0, line.indexOf('=')), value: line.slice(line.indexOf('=') + 1) }));

/** `name TO value`, for ALTER ROLE and ALTER DATABASE … SET. */
export function quoteSetting({ escapeIdentifier, escapeLiteral }: Connection, { name, value }: DumpedSetting): string {
  const parts = lists.has(name.toLowerCase()) ? splitNames(value) : [value];
  // Extensions' own settings are two names with a dot between them.
  return `${name.split('.').map(escapeIdentifier).join('.')} TO ${parts.length === 0 ? "''" : parts.map(escapeLiteral).join(', ')}`;
}

/** Pure. `"$user", public` as its names: in double quotes where they are not plain (PostgreSQL's SplitGUCList). */
export const splitNames = (list: string): string[] =>
  [...list.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!);

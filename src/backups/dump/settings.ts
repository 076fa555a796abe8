import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { wordsOf } from '../../kernel/errors.ts';

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

/** A setting that the server did not let this role give, as the statement that a superuser may run. */
export interface RefusedSetting {
  readonly statement: string;
  readonly because: string;
}

/**
 * `ALTER what SET …` with the rights of `role` alone: PostgreSQL itself then refuses what only superusers may set, such as libraries that every
 * session would load. Resolves to what was refused.
 */
export async function setAs(session: Connection, role: string, what: string, setting: DumpedSetting): Promise<RefusedSetting | undefined> {
  const alter = `ALTER ${what} SET ${quoteSetting(session, setting)}`;
  const [known] = await session.query<{ superuser: boolean }>('SELECT rolsuper AS superuser FROM pg_catalog.pg_roles WHERE rolname = $1', [
    role,
  ]);
  if (known?.superuser) return { statement: `${alter};`, because: `${role} is a superuser` };
  await session.query('BEGIN');
  try {
    await session.query(`SET LOCAL SESSION AUTHORIZATION ${session.escapeIdentifier(role)}`);
    await session.query(alter);
    await session.query('COMMIT');
    return undefined;
  } catch (cause) {
    if (sqlStateOf(cause) === undefined) throw cause;
    await session.query('ROLLBACK');
    return { statement: `${alter};`, because: wordsOf(cause) };
  }
}

/** `ALTER what SET …` of what this server's own catalogs held: it had been given by whoever might. Resolves to what the server refuses by now. */
export async function setAsBefore(session: Connection, what: string, setting: DumpedSetting): Promise<RefusedSetting | undefined> {
  const alter = `ALTER ${what} SET ${quoteSetting(session, setting)}`;
  try {
    await session.query(alter);
    return undefined;
  } catch (cause) {
    if (sqlStateOf(cause) === undefined) throw cause;
    return { statement: `${alter};`, because: wordsOf(cause) };
  }
}

import type { Connection } from '../../instance/connection.ts';
import type { DumpedDatabase, DumpedTable } from './manifest.ts';
import { listSettings } from './settings.ts';

/**
 * What a dump holds rows of, as `c` in schema `n`: ordinary tables and populated materialized views; what an extension brings is the extension's
 * to restore.
 */
export const FROM_DUMPED_TABLES = `
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND c.relpersistence <> 't'
     AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`;
const TABLES = `SELECT n.nspname AS schema, c.relname AS name ${FROM_DUMPED_TABLES} ORDER BY 1, 2`;

/** Every table that a dump of this database holds, with its rows as this session's snapshot sees them. */
export async function countTables(session: Connection, leaveOut: readonly string[] = []): Promise<DumpedTable[]> {
  const tables = await session.query<{ schema: string; name: string }>(TABLES);
  const counted: DumpedTable[] = [];
  for (const { schema, name } of tables) {
    const table = `${session.escapeIdentifier(schema)}.${session.escapeIdentifier(name)}`;
    if (leaveOut.includes(table)) continue;
    const [row] = await session.query<{ rows: string }>(`SELECT count(*) AS rows FROM ONLY ${table}`); // A child's rows are the child's.
    counted.push({ schema, name, rows: Number(row!.rows) });
  }
  return counted;
}

/** What a restore needs to know of the database beside pg_dump's own archive. */
export async function describeDatabase(session: Connection): Promise<Omit<DumpedDatabase, 'directory' | 'tables'>> {
  const [facts] = await session.query<{
    name: string;
    owner: string;
    encoding: string;
    collate: string;
    ctype: string;
    provider: 'c' | 'i' | 'b';
    locale: string | null;
    objects: string;
    hasPrivileges: boolean;
  }>(
    `SELECT datname AS name, pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding, datcollate AS collate,
            datctype AS ctype, coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
            coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale, datacl IS NOT NULL AS "hasPrivileges", (SELECT count(*) FROM pg_largeobject_metadata) AS objects
       FROM pg_database d WHERE datname = current_database()`,
  );
  const { name, owner, encoding, collate, ctype, provider, locale, objects, hasPrivileges } = facts!;
  const extensions = await session.query<{ name: string; version: string }>(
    "SELECT extname AS name, extversion AS version FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1",
  );
  const settings = await session.query<{ role: string | null; config: string[] }>(
    `SELECT CASE WHEN setrole <> 0 THEN pg_get_userbyid(setrole) END AS role, setconfig AS config
       FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()`,
  );
  const privileges = await session.query<{ grantee: string; privilege: string; grantable: boolean }>(
    `SELECT CASE WHEN grantee = 0 THEN '' ELSE pg_get_userbyid(grantee) END AS grantee, privilege_type AS privilege,
            is_grantable AS grantable
       FROM pg_database, aclexplode(datacl) WHERE datname = current_database()`,
  );
  return {
    name,
    owner,
    encoding,
    collate,
    ctype,
    locale: { provider, name: locale },
    extensions,
    settings: settings.flatMap(({ role, config }) => (role === null ? listSettings(config) : [])),
    roleSettings: settings.flatMap(({ role, config }) =>
      role === null ? [] : listSettings(config).map((setting) => ({ role, ...setting })),
    ),
    largeObjects: Number(objects),
    privileges: hasPrivileges ? privileges : null,
  };
}

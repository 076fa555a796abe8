import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import type { DatabaseProperties, DumpedDatabase, DumpedView } from './manifest.ts';
import { listOwners } from './owners.ts';
import { listSettings } from './settings.ts';

/** Ordinary tables ('r') and populated materialized views ('m') as `c` in schema `n`; what an extension brings is the extension's to restore. */
const RELATIONS = `
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relispopulated AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')`;
export const FROM_DUMPED_TABLES = `${RELATIONS} AND c.relkind IN ('r', 'm')`;

/** Tables of this database, or its materialized views, with their oids; nothing of the user's runs for it. */
export const listRelations = (session: Connection, kind: 'r' | 'm'): Promise<(DumpedView & { readonly oid: number })[]> =>
  session.query(
    `SELECT n.nspname AS schema, c.relname AS name, c.oid::bigint::float8 AS oid ${RELATIONS} AND c.relkind = $1 ORDER BY 1, 2`,
    [kind],
  );

interface Facts {
  readonly name: string;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly provider: 'c' | 'i' | 'b';
  readonly locale: string | null;
  readonly objects: string;
  readonly tablespace: string | null;
}

const FACTS = `
  SELECT datname AS name, pg_encoding_to_char(encoding) AS encoding, datcollate AS collate,
         datctype AS ctype, coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
         coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale,
         (SELECT count(*) FROM pg_largeobject_metadata) AS objects, nullif(t.spcname, 'pg_default') AS tablespace
    FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE datname = current_database()`;

const EXTENSIONS = `
  SELECT extname AS name, extversion AS version, nspname AS schema, ARRAY(
           SELECT d.objid::bigint::float8 FROM pg_depend d
            WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') AS tables
    FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE extname <> 'plpgsql' ORDER BY e.oid`;

/** Of a damaged catalog this is what can be had: whose the rest was is not worth the rows. */
async function ownersOf(session: Connection, isDamaged: boolean): Promise<DumpedDatabase['owners']> {
  if (!isDamaged) return listOwners(session);
  await session.query('SAVEPOINT owners');
  return listOwners(session).catch(async (cause: unknown) => {
    if (sqlStateOf(cause) === undefined) throw cause;
    await session.query('ROLLBACK TO SAVEPOINT owners');
    return [];
  });
}

/** The facts that a restore needs to know of the database beside pg_dump's own archive, in the transaction of its snapshot. */
export async function describeDatabase(
  session: Connection,
  { isDamaged }: { readonly isDamaged: boolean },
): Promise<Omit<DumpedDatabase, 'directory' | 'tables'>> {
  const [facts] = await session.query<Facts>(FACTS);
  const { provider, locale, objects, ...properties } = facts!;
  const extensions = await session.query<DumpedDatabase['extensions'][number]>(EXTENSIONS);
  const tablespaces = await session.query<{ name: string }>(
    'SELECT DISTINCT spcname AS name FROM pg_tablespace t JOIN pg_class c ON c.reltablespace = t.oid WHERE c.relisshared IS FALSE',
  );
  return {
    ...properties,
    ...(await describeProperties(session, properties.name)),
    locale: { provider, name: locale },
    extensions,
    materializedViews: await listRelations(session, 'm'),
    owners: await ownersOf(session, isDamaged),
    tablespaces: tablespaces.map((row) => row.name),
    largeObjects: Number(objects),
  };
}

/** The branch that the data belongs to is not: dbkit says so, of one server (snapshots/branch.ts). */
const isDatabases = ({ name }: { readonly name: string }): boolean => !name.startsWith('dbkit.');

/** Properties of a database itself, which neither pg_dump nor a copy of its files takes along: read from the catalogs that databases share. */
export async function describeProperties(session: Connection, database: string): Promise<DatabaseProperties> {
  const [own] = await session.query<Omit<DatabaseProperties, 'settings' | 'roleSettings' | 'privileges'> & { hasPrivileges: boolean }>(
    `SELECT pg_get_userbyid(datdba) AS owner, shobj_description(oid, 'pg_database') AS comment, datconnlimit AS "connectionLimit",
            datistemplate AS "isTemplate", datacl IS NOT NULL AS "hasPrivileges" FROM pg_database WHERE datname = $1`,
    [database],
  );
  const { hasPrivileges, ...properties } = own!;
  const settings = await session.query<{ role: string | null; config: string[] }>(
    `SELECT CASE WHEN setrole <> 0 THEN pg_get_userbyid(setrole) END AS role, setconfig AS config
       FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = $1`,
    [database],
  );
  const privileges = await session.query<NonNullable<DumpedDatabase['privileges']>[number]>(
    `SELECT CASE WHEN grantee = 0 THEN '' ELSE pg_get_userbyid(grantee) END AS grantee, privilege_type AS privilege,
            is_grantable AS grantable
       FROM pg_database, aclexplode(datacl) WHERE datname = $1`,
    [database],
  );
  return {
    ...properties,
    settings: settings.flatMap(({ role, config }) => (role === null ? listSettings(config).filter(isDatabases) : [])),
    roleSettings: settings.flatMap(({ role, config }) =>
      role === null ? [] : listSettings(config).map((setting) => ({ role, ...setting })),
    ),
    privileges: hasPrivileges ? privileges : null,
  };
}

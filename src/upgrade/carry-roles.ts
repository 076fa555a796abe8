import { listSettings, setAsBefore } from '../backups/dump/settings.ts';
import type { Connection } from '../instance/connection.ts';
import type { UpgradeReport } from './contract.ts';

interface Role {
  readonly name: string;
  readonly options: readonly string[];
  readonly connectionLimit: number;
  readonly validUntil: string | null;
  readonly password: string | null;
  readonly comment: string | null;
  readonly config: readonly string[] | null;
}

/** pg_authid with everything that CREATE ROLE takes; PostgreSQL's own roles are in every cluster. */
const ROLES = `
  SELECT rolname AS name, rolconnlimit AS "connectionLimit", rolvaliduntil::text AS "validUntil", rolpassword AS password,
         pg_catalog.shobj_description(a.oid, 'pg_authid') AS comment,
         (SELECT setconfig FROM pg_catalog.pg_db_role_setting WHERE setrole = a.oid AND setdatabase = 0) AS config,
         ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
               CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
               CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
               CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END] AS options
    FROM pg_catalog.pg_authid a WHERE rolname !~ '^pg_' ORDER BY a.oid`;

/**
 * From 16 on a grant says itself whether it is inherited and may be set, and several roles may have granted the same membership: what one of them has
 * given holds (acl.c, roles_is_member_of). Here one role grants it, once.
 */
const MEMBERSHIPS = `
  SELECT pg_catalog.pg_get_userbyid(roleid) AS role, pg_catalog.pg_get_userbyid(member) AS member, bool_or(admin_option) AS admin,
         bool_or((pg_catalog.to_jsonb(m) ->> 'inherit_option')::bool)::text AS inherit, bool_or((pg_catalog.to_jsonb(m) ->> 'set_option')::bool)::text AS set
    FROM pg_catalog.pg_auth_members m GROUP BY roleid, member ORDER BY 1, 2`;

const PARAMETERS = `
  SELECT parname AS name, privilege_type AS privilege, is_grantable AS grantable, pg_catalog.pg_get_userbyid(grantee) AS grantee, grantee = 0 AS everybody
    FROM pg_catalog.pg_parameter_acl, pg_catalog.aclexplode(paracl) WHERE grantee <> 10`;

interface Membership {
  readonly role: string;
  readonly member: string;
  readonly admin: boolean;
  readonly inherit: string | null;
  readonly set: string | null;
}

/** The SQL that needs no database: roles as they are, with their passwords' hashes, memberships, settings for every database, and who may set what. */
export async function carryRoles(
  from: Connection,
  to: Connection,
  { fromMajor, toMajor }: { readonly fromMajor: number; readonly toMajor: number },
): Promise<UpgradeReport['missing']> {
  const [id, text] = [to.escapeIdentifier, to.escapeLiteral];
  const there = new Set((await to.query<{ name: string }>('SELECT rolname AS name FROM pg_catalog.pg_roles')).map(({ name }) => name));
  const roles = await from.query<Role>(ROLES);
  for (const { name, options, connectionLimit, validUntil, password, comment } of roles) {
    if (!there.has(name)) await to.query(`CREATE ROLE ${id(name)}`);
    const until = validUntil === null ? [] : [`VALID UNTIL ${text(validUntil)}`];
    const words = [...options, `CONNECTION LIMIT ${connectionLimit}`, `PASSWORD ${password === null ? 'NULL' : text(password)}`, ...until];
    await to.query(`ALTER ROLE ${id(name)} ${words.join(' ')}`);
    if (comment !== null) await to.query(`COMMENT ON ROLE ${id(name)} IS ${text(comment)}`);
  }
  for (const membership of await from.query<Membership>(MEMBERSHIPS)) await to.query(grantOf(membership, id, toMajor));
  const missing: UpgradeReport['missing'][number][] = [];
  for (const { name, config } of roles)
    for (const setting of listSettings(config)) {
      const refused = await setAsBefore(to, `ROLE ${id(name)}`, setting);
      if (refused) missing.push({ database: '', what: `setting \`${refused.statement}\``, because: refused.because });
    }
  if (fromMajor >= 15)
    for (const one of await from.query<{ name: string; privilege: string; grantable: boolean; grantee: string; everybody: boolean }>(
      PARAMETERS,
    ))
      await to.query(
        `GRANT ${one.privilege} ON PARAMETER ${one.name.split('.').map(id).join('.')} TO ${one.everybody ? 'PUBLIC' : id(one.grantee)}${one.grantable ? ' WITH GRANT OPTION' : ''}`,
      );
  return missing;
}

/** `ALTER ROLE ALL SET …`, which no dump has: pg_dump and pg_dumpall read settings of a role or of a database. Resolves to what was refused. */
export async function carrySettingsOfAll(to: Connection, config: readonly string[] | null): Promise<UpgradeReport['missing']> {
  const missing: UpgradeReport['missing'][number][] = [];
  for (const setting of listSettings(config)) {
    const refused = await setAsBefore(to, 'ROLE ALL', setting);
    if (refused) missing.push({ database: '', what: `setting \`${refused.statement}\``, because: refused.because });
  }
  return missing;
}

/** Pure. Before 16 the member's own INHERIT decides, as it goes on doing there where nothing is said. */
export function grantOf({ role, member, admin, inherit, set }: Membership, id: (name: string) => string, toMajor: number): string {
  const said = inherit === null ? [] : [`INHERIT ${inherit}`, ...(set === null ? [] : [`SET ${set}`])];
  const options = toMajor >= 16 ? [...(admin ? ['ADMIN true'] : []), ...said] : admin ? ['ADMIN OPTION'] : [];
  return `GRANT ${id(role)} TO ${id(member)}${options.length > 0 ? ` WITH ${options.join(', ')}` : ''}`;
}

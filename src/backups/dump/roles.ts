import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import type { Authority } from './archive.ts';
import type { DumpedDatabase, DumpedRole, DumpManifest } from './manifest.ts';
import { IS_LOADER, isLoader } from './own-names.ts';
import { listSettings, setAs } from './settings.ts';

/** Every role but PostgreSQL's own and dbkit's; without the hashes of their passwords unless they are wanted. */
export async function listRoles(session: Connection, { withPasswords }: { readonly withPasswords: boolean }): Promise<DumpedRole[]> {
  const roles = await session.query<Omit<DumpedRole, 'memberOf' | 'settings'> & { oid: string; config: string[] | null }>(
    `SELECT oid::text AS oid, rolname AS name, rolcanlogin AS login, rolsuper AS superuser, rolcreatedb AS "createDb",
            rolcreaterole AS "createRole", rolinherit AS inherit, rolreplication AS replication, rolbypassrls AS "bypassRls",
            rolconnlimit AS "connectionLimit", nullif(rolvaliduntil, 'infinity')::text AS "validUntil", rolconfig AS config,
            ${withPasswords ? 'rolpassword' : 'NULL::text'} AS "passwordHash"
       FROM ${withPasswords ? 'pg_authid JOIN (SELECT oid, rolconfig FROM pg_roles) AS c USING (oid)' : 'pg_roles'} WHERE rolname !~ '^pg_' AND NOT (${IS_LOADER}) ORDER BY rolname`,
  );
  const memberships = await session.query<{ member: string; role: string; admin: boolean }>(
    `SELECT member::text AS member, pg_get_userbyid(roleid) AS role, bool_or(admin_option) AS admin FROM pg_auth_members GROUP BY 1, 2 ORDER BY 2`,
  );
  return roles.map(({ oid, config, ...role }) => ({
    ...role,
    memberOf: memberships.flatMap(({ member, role: name, admin }) => (member === oid ? [{ role: name, admin }] : [])),
    settings: listSettings(config),
  }));
}

/**
 * Makes the roles of a dump that are not there: owners and grantees must exist before what is theirs. Those that are there stay as they are.
 * Whoever wrote the dump may have written anything: nobody becomes superuser by it, nor a member of what was there before, and settings are those
 * that the role could give itself. Resolves to what is left for a person to give.
 */
export async function createMissingRoles(
  session: Connection,
  { roles }: DumpManifest,
  { owner, privileges }: DumpedDatabase,
  { isTrusted, madeRoles }: Authority,
): Promise<readonly string[]> {
  const [id, text] = [session.escapeIdentifier, session.escapeLiteral];
  const known = new Set((await session.query<{ name: string }>('SELECT rolname AS name FROM pg_roles')).map(({ name }) => name));
  const needed = new Set([owner, ...(privileges ?? []).map(({ grantee }) => grantee), ...roles.map(({ name }) => name)]);
  const missing = roles.filter(({ name }) => needed.has(name) && !known.has(name) && !isLoader(name)); // A dump of before has them.
  const left: string[] = [];
  for (const role of missing) {
    const word = (on: boolean, name: string): string => `${on ? '' : 'NO'}${name}`;
    const { login, createDb, inherit, connectionLimit, validUntil, passwordHash } = role;
    const options = [
      word(login, 'LOGIN'),
      word(createDb, 'CREATEDB'),
      'NOSUPERUSER NOREPLICATION NOBYPASSRLS NOCREATEROLE', // Before 16 CREATEROLE is membership in every role but superusers.
      word(inherit, 'INHERIT'),
      `CONNECTION LIMIT ${connectionLimit}`,
      ...(validUntil === null ? [] : [`VALID UNTIL ${text(validUntil)}`]),
      ...(passwordHash === null || !isTrusted ? [] : [`PASSWORD ${text(passwordHash)}`]),
    ];
    await inTransaction(session, async () => {
      await session.query(`CREATE ROLE ${id(role.name)} ${options.join(' ')}`);
      await session.query(`COMMENT ON ROLE ${id(role.name)} IS ${text(MADE)}`);
    });
    madeRoles.push(role.name);
    if (passwordHash !== null && !isTrusted) left.push(`ALTER ROLE ${id(role.name)} PASSWORD '…';`); // Else its maker could log in.
    for (const setting of role.settings) {
      const refused = await setAs(session, role.name, `ROLE ${id(role.name)}`, setting);
      if (refused !== undefined) left.push(refused.statement);
    }
  }
  const there = new Set([...known, ...missing.map(({ name }) => name)]);
  const isNew = new Set(missing.map(({ name }) => name));
  for (const { name, memberOf } of roles)
    for (const { role, admin } of memberOf)
      if (there.has(name) && there.has(role) && (isNew.has(name) || isNew.has(role))) {
        const grant = `GRANT ${id(role)} TO ${id(name)}${admin ? ' WITH ADMIN OPTION' : ''}`;
        if (isNew.has(role)) await session.query(grant);
        else left.push(`${grant};`);
      }
  for (const { name, superuser, replication, bypassRls, createRole } of missing) {
    const given = { SUPERUSER: superuser, REPLICATION: replication, BYPASSRLS: bypassRls, CREATEROLE: createRole };
    const words = Object.entries(given).flatMap(([word, was]) => (was ? [word] : []));
    if (words.length > 0) left.push(`ALTER ROLE ${id(name)} ${words.join(' ')};`);
  }
  return left;
}

/** A role bears this comment until what it was made for is there to stay: a killed restore's are known by it. */
const MADE = 'made by dbkit for a restore that has not ended';

/** In the transaction that lets a restored database take its place. */
export async function keepRoles(session: Connection, names: readonly string[]): Promise<void> {
  for (const name of names) await session.query(`COMMENT ON ROLE ${session.escapeIdentifier(name)} IS NULL`);
}

/** Drops the roles that killed restores have made; one that has come into use since stays, as anybody's. For whoever restores alone. */
export async function dropLeftRoles(session: Connection): Promise<void> {
  const left = await session.query<{ name: string }>(
    "SELECT rolname AS name FROM pg_catalog.pg_roles WHERE pg_catalog.shobj_description(oid, 'pg_authid') = $1",
    [MADE],
  );
  const names = left.map(({ name }) => name);
  await dropRoles(session, names);
  const stay = await session.query<{ name: string }>('SELECT rolname AS name FROM pg_catalog.pg_roles WHERE rolname = ANY ($1)', [names]);
  await keepRoles(
    session,
    stay.map(({ name }) => name),
  );
}

export async function inTransaction(session: Connection, work: () => Promise<void>): Promise<void> {
  await session.query('BEGIN');
  try {
    await work();
    await session.query('COMMIT');
  } catch (cause) {
    await session.query('ROLLBACK').catch(() => undefined);
    throw cause;
  }
}

/** Roles that were made for a database that is gone again; one that has come into use since stays (dependent_objects_still_exist). */
export async function dropRoles(session: Connection, names: readonly string[]): Promise<void> {
  for (const name of names)
    await session.query(`DROP ROLE IF EXISTS ${session.escapeIdentifier(name)}`).catch((cause: unknown) => {
      if (sqlStateOf(cause) !== '2BP01') throw cause;
    });
}

import type { Connection } from '../../instance/connection.ts';
import type { DatabaseProperties } from './manifest.ts';
import { type RefusedSetting, setAs, setAsBefore } from './settings.ts';

/** The role with whose rights the settings are given, for a moment, or none: they are this server's own; and who the database belongs to. */
export interface PropertyOwners {
  readonly loader: string | undefined;
  readonly owner: string;
}

/**
 * Properties of a database itself that are in no archive of one: settings, privileges, comment, limit. After the load, which they must not disturb.
 * Resolves to the settings that are left for a person to give.
 */
export async function setProperties(
  session: Connection,
  name: string,
  database: Omit<DatabaseProperties, 'owner'>,
  { loader, owner }: PropertyOwners,
): Promise<readonly RefusedSetting[]> {
  const [id, text] = [session.escapeIdentifier, session.escapeLiteral];
  const { settings, roleSettings, privileges, comment, connectionLimit, isTemplate } = database;
  const refused: (RefusedSetting | undefined)[] = [];
  if (loader === undefined) {
    await session.query(`ALTER DATABASE ${id(name)} OWNER TO ${id(owner)}`);
    for (const setting of settings) refused.push(await setAsBefore(session, `DATABASE ${id(name)}`, setting));
  } else if (settings.length > 0) {
    await session.query(`ALTER DATABASE ${id(name)} OWNER TO ${id(loader)}`); // The owner may be a superuser.
    for (const setting of settings) refused.push(await setAs(session, loader, `DATABASE ${id(name)}`, setting));
    await session.query(`ALTER DATABASE ${id(name)} OWNER TO ${id(owner)}`);
  }
  for (const { role, ...setting } of roleSettings) {
    const what = `ROLE ${id(role)} IN DATABASE ${id(name)}`;
    refused.push(await (loader === undefined ? setAsBefore(session, what, setting) : setAs(session, role, what, setting)));
  }
  if (privileges) await session.query(`REVOKE ALL ON DATABASE ${id(name)} FROM PUBLIC`);
  for (const { grantee, privilege, grantable } of privileges ?? []) {
    const to = grantee === '' ? 'PUBLIC' : id(grantee);
    await session.query(`GRANT ${privilege} ON DATABASE ${id(name)} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''}`);
  }
  if (comment !== null) await session.query(`COMMENT ON DATABASE ${id(name)} IS ${text(comment)}`);
  await session.query(`ALTER DATABASE ${id(name)} WITH IS_TEMPLATE ${isTemplate} CONNECTION LIMIT ${connectionLimit}`);
  return refused.filter((one) => one !== undefined);
}

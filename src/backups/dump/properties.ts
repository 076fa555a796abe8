import type { Connection } from '../../instance/connection.ts';
import type { DumpedDatabase } from './manifest.ts';
import { quoteSetting } from './settings.ts';

/** What belongs to a database itself and is in no archive of one: settings, privileges, comment, limit. After the load, which they must not disturb. */
export async function setProperties(session: Connection, name: string, database: DumpedDatabase): Promise<void> {
  const [id, text] = [session.escapeIdentifier, session.escapeLiteral];
  const { settings, roleSettings, privileges, comment, connectionLimit, isTemplate } = database;
  for (const setting of settings) await session.query(`ALTER DATABASE ${id(name)} SET ${quoteSetting(session, setting)}`);
  for (const { role, ...setting } of roleSettings)
    await session.query(`ALTER ROLE ${id(role)} IN DATABASE ${id(name)} SET ${quoteSetting(session, setting)}`);
  if (privileges) await session.query(`REVOKE ALL ON DATABASE ${id(name)} FROM PUBLIC`);
  for (const { grantee, privilege, grantable } of privileges ?? []) {
    const to = grantee === '' ? 'PUBLIC' : id(grantee);
    await session.query(`GRANT ${privilege} ON DATABASE ${id(name)} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''}`);
  }
  if (comment !== null) await session.query(`COMMENT ON DATABASE ${id(name)} IS ${text(comment)}`);
  await session.query(`ALTER DATABASE ${id(name)} WITH IS_TEMPLATE ${isTemplate} CONNECTION LIMIT ${connectionLimit}`);
}

import type { Connection } from '../../instance/connection.ts';
import type { Authority } from './archive.ts';
import type { DumpedDatabase } from './manifest.ts';
import type { Missing } from './missing.ts';
import type { OwnedType } from './owned-types.ts';

const MIGHTY = `
  SELECT r.rolname AS name FROM pg_catalog.pg_roles r
   WHERE r.rolname = ANY ($1) AND (r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls OR EXISTS (
         SELECT FROM pg_catalog.pg_roles m
          WHERE (m.rolsuper OR m.rolcreaterole OR m.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))
            AND pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER')))`;

/** Those of these roles whose code, run by anybody, could make anybody a superuser. */
export const mightyAmong = async (session: Connection, roles: readonly string[]): Promise<ReadonlySet<string>> =>
  new Set((await session.query<{ name: string }>(MIGHTY, [roles])).map(({ name }) => name));

/** Whoever owns these, nothing in them runs with the owner's rights. */
const inert: ReadonlySet<OwnedType> = new Set(['schema', 'sequence', 'collation', 'large object']);

/**
 * Objects that a stranger's dump would give to a mighty role: a function of its own with that role's rights, called by anybody, is a superuser's.
 * They are withheld, all or none: then nothing of the dump changes hands.
 */
export async function strangeOwners(
  session: Connection,
  { name, owner, owners }: Pick<DumpedDatabase, 'name' | 'owner' | 'owners'>,
  { isTrusted, withheld }: Authority,
): Promise<readonly Missing[]> {
  if (isTrusted) return [];
  const given = [{ what: `database ${name}`, to: owner }].concat(
    owners.flatMap(({ type, names, args, owner: to }) =>
      inert.has(type) ? [] : [{ what: `${type} ${[...names, ...args].join('.')}`, to }],
    ),
  );
  const mighty = await mightyAmong(session, [...new Set(given.map(({ to }) => to))]);
  const strange = given.filter(({ to }) => mighty.has(to)).map(({ what, to }) => ({ what: `owner ${to} of ${what}`, because: BECAUSE }));
  withheld.push(...strange.map(({ what }) => what));
  return strange;
}

const BECAUSE = 'what is in it would run with rights of a superuser, and nobody knows who made this dump';

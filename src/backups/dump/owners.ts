import type { Connection } from '../../instance/connection.ts';
import { wordsOf } from '../../kernel/errors.ts';
import type { DumpedOwner } from './manifest.ts';
import { ownedTypes } from './owned-types.ts';

/** Catalog and its columns for the owner; what has no row of its own kind (array types, owned sequences) follows its object. */
const catalogs: readonly (readonly [catalog: string, owner: string, where?: string])[] = [
  ['pg_class', 'relowner', "relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"],
  ['pg_proc', 'proowner'],
  [
    'pg_type',
    'typowner',
    "typtype IN ('b', 'c', 'd', 'e', 'r') AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = o.oid) AND (typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = typrelid AND c.relkind = 'c'))",
  ],
  ['pg_namespace', 'nspowner', "nspname !~ '^pg_(toast|temp)'"],
  ['pg_operator', 'oprowner'],
  ['pg_opclass', 'opcowner'],
  ['pg_opfamily', 'opfowner'],
  ['pg_collation', 'collowner'],
  ['pg_conversion', 'conowner'],
  ['pg_ts_dict', 'dictowner'],
  ['pg_ts_config', 'cfgowner'],
  ['pg_statistic_ext', 'stxowner'],
  ['pg_foreign_data_wrapper', 'fdwowner'],
  ['pg_foreign_server', 'srvowner'],
  ['pg_language', 'lanowner'],
];
/** Below it are PostgreSQL's own objects (transam.h, FirstNormalObjectId); the schema public is a user's as well. */
const FIRST_NORMAL_OID = 16_384;

const every = catalogs.map(
  ([catalog, owner, where = 'true']) =>
    `SELECT 'pg_catalog.${catalog}'::pg_catalog.regclass::oid AS class, o.oid, ${owner} AS owner FROM pg_catalog.${catalog} o
      WHERE (o.oid >= ${FIRST_NORMAL_OID}${catalog === 'pg_namespace' ? " OR nspname = 'public'" : ''}) AND ${where}`,
);
const OWNERS = `
  SELECT a.type, a.object_names AS names, a.object_args AS args, o.class::bigint::float8 AS "classId", o.oid::bigint::float8 AS oid, pg_catalog.pg_get_userbyid(o.owner) AS owner
    FROM (${every.join(' UNION ALL ')} UNION ALL SELECT 'pg_catalog.pg_largeobject'::pg_catalog.regclass::oid, oid, lomowner FROM pg_catalog.pg_largeobject_metadata) AS o
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database(), LATERAL pg_catalog.pg_identify_object_as_address(o.class, o.oid, 0) AS a
   WHERE o.owner <> d.datdba AND NOT EXISTS (
     SELECT FROM pg_catalog.pg_depend p WHERE p.classid = o.class AND p.objid = o.oid AND p.objsubid = 0
        AND (p.deptype IN ('e', 'i') OR (p.deptype = 'a' AND p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.class = p.refclassid)))`;

/** Everything that does not belong to the database's owner, by an address that another database understands. */
export async function listOwners(session: Connection): Promise<DumpedOwner[]> {
  const rows = await session.query<DumpedOwner & { type: string }>(OWNERS);
  return rows.flatMap((row) => (row.type in ownedTypes ? [row] : []));
}

/**
 * Gives everything that `loader` owns in this database to `owner`, but what belonged to others to them. The server itself says how an object is
 * called, so that no name out of a dump becomes SQL. Resolves to what could not be given, in words.
 */
export async function giveBack(
  session: Connection,
  { loader, owner, others }: { readonly loader: string; readonly owner: string; readonly others: readonly DumpedOwner[] },
): Promise<readonly { readonly what: string; readonly because: string }[]> {
  const id = session.escapeIdentifier;
  await session.query(`REASSIGN OWNED BY ${id(loader)} TO ${id(owner)}`);
  const left: { what: string; because: string }[] = [];
  for (const { type, names, args, owner: to } of others) {
    try {
      const [found] = await session.query<{ identity: string }>(
        `SELECT i.identity FROM pg_catalog.pg_get_object_address($1, $2, $3) AS a, LATERAL pg_catalog.pg_identify_object(a.classid, a.objid, 0) AS i`,
        [type, names, args],
      );
      await session.query(`ALTER ${ownedTypes[type]} ${found!.identity} OWNER TO ${id(to)}`);
    } catch (cause) {
      left.push({ what: `owner ${to} of ${type} ${[...names, ...args].join('.')}`, because: wordsOf(cause) });
    }
  }
  return left;
}

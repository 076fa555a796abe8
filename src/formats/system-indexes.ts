import { basename, dirname, join } from 'node:path';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlain } from '../machine/plain-file.ts';
import { parseFilenodeMap } from './filenode-map.ts';

/**
 * The indexes among the mapped catalogs, by oid: name, and the catalog whose REINDEX builds it (a toast index is its owner's).
 * The union of majors 13 to 18, read from their own pg_class (relfilenode = 0); an oid never changes its meaning.
 */
const indexes: Readonly<Record<number, readonly [name: string, table: string]>> = {
  1232: ['pg_shdepend_depender_index', 'pg_shdepend'],
  1233: ['pg_shdepend_reference_index', 'pg_shdepend'],
  2397: ['pg_shdescription_o_c_index', 'pg_shdescription'],
  2658: ['pg_attribute_relid_attnam_index', 'pg_attribute'],
  2659: ['pg_attribute_relid_attnum_index', 'pg_attribute'],
  2662: ['pg_class_oid_index', 'pg_class'],
  2663: ['pg_class_relname_nsp_index', 'pg_class'],
  2671: ['pg_database_datname_index', 'pg_database'],
  2672: ['pg_database_oid_index', 'pg_database'],
  2676: ['pg_authid_rolname_index', 'pg_authid'],
  2677: ['pg_authid_oid_index', 'pg_authid'],
  2690: ['pg_proc_oid_index', 'pg_proc'],
  2691: ['pg_proc_proname_args_nsp_index', 'pg_proc'],
  2694: ['pg_auth_members_role_member_index', 'pg_auth_members'],
  2695: ['pg_auth_members_member_role_index', 'pg_auth_members'],
  2697: ['pg_tablespace_oid_index', 'pg_tablespace'],
  2698: ['pg_tablespace_spcname_index', 'pg_tablespace'],
  2703: ['pg_type_oid_index', 'pg_type'],
  2704: ['pg_type_typname_nsp_index', 'pg_type'],
  2837: ['pg_toast_1255_index', 'pg_proc'],
  2847: ['pg_toast_2396_index', 'pg_shdescription'],
  2965: ['pg_db_role_setting_databaseid_rol_index', 'pg_db_role_setting'],
  2967: ['pg_toast_2964_index', 'pg_db_role_setting'],
  3455: ['pg_class_tblspc_relfilenode_index', 'pg_class'],
  3593: ['pg_shseclabel_object_index', 'pg_shseclabel'],
  4061: ['pg_toast_3592_index', 'pg_shseclabel'],
  4172: ['pg_toast_1247_index', 'pg_type'],
  4176: ['pg_toast_1260_index', 'pg_authid'],
  4178: ['pg_toast_1262_index', 'pg_database'],
  4182: ['pg_toast_6000_index', 'pg_replication_origin'],
  4184: ['pg_toast_6100_index', 'pg_subscription'],
  4186: ['pg_toast_1213_index', 'pg_tablespace'],
  6001: ['pg_replication_origin_roiident_index', 'pg_replication_origin'],
  6002: ['pg_replication_origin_roname_index', 'pg_replication_origin'],
  6114: ['pg_subscription_oid_index', 'pg_subscription'],
  6115: ['pg_subscription_subname_index', 'pg_subscription'],
  6245: ['pg_toast_6243_index', 'pg_parameter_acl'],
  6246: ['pg_parameter_acl_parname_index', 'pg_parameter_acl'],
  6247: ['pg_parameter_acl_oid_index', 'pg_parameter_acl'],
  6302: ['pg_auth_members_grantor_index', 'pg_auth_members'],
  6303: ['pg_auth_members_oid_index', 'pg_auth_members'],
};

/** An index of a mapped catalog, or a mapped catalog itself. */
export type MappedRelation =
  | { readonly kind: 'index'; readonly name: string; readonly table: string }
  | { readonly kind: 'heap'; readonly oid: number };

export function mappedByOid(oid: number): MappedRelation {
  const index = indexes[oid];
  return index ? { kind: 'index', name: index[0], table: index[1] } : { kind: 'heap', oid };
}

/** Which mapped catalog or index a file of PGDATA is ('global/2671'); undefined for every other file, and when the map cannot be read. */
export async function mappedRelation(dataDir: string, path: string): Promise<MappedRelation | undefined> {
  const file = Number(basename(path));
  if (!Number.isInteger(file)) return undefined;
  const map = parseFilenodeMap(await readPlain(join(dataDir, dirname(path), 'pg_filenode.map')).catch(() => Buffer.alloc(0)));
  if ('problem' in map) return undefined;
  const oid = [...map.files].find(([, mapped]) => mapped === file)?.[0];
  return oid === undefined ? undefined : mappedByOid(oid);
}

/** The file of a mapped index that a server names: 'global/2676'. `home`: the folder of the database it was met in, if any. Undefined for every other. */
export async function fileOfSystemIndex(dataDir: string, name: string, home: string | undefined): Promise<string | undefined> {
  const oid = Number(Object.entries(indexes).find(([, [known]]) => known === name)?.[0]);
  for (const folder of ['global', ...(home === undefined ? [] : [home])]) {
    const bytes = await readPlain(join(dataDir, folder, 'pg_filenode.map')).catch(unlessOwnTrouble);
    const map = bytes && parseFilenodeMap(bytes);
    const file = map === undefined || 'problem' in map ? undefined : map.files.get(oid);
    if (file !== undefined) return `${folder}/${file}`;
  }
  return undefined;
}

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { DbkitError, errnoOf } from '../../kernel/errors.ts';
import { isPathInside, JSON_BYTES_MAX, parseJson } from '../names.ts';
import { readRegular } from '../regular-file.ts';
import { type OwnedType, ownedTypes } from './owned-types.ts';
import type { DumpRecord } from './record.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const text = v.string();
const digest = v.pipe(text, v.regex(/^[0-9a-f]{64}$/));

const settingSchema = v.object({ name: text, value: text });
/** An oid of the database that was dumped: archives name their entries by it. */
const oid = v.optional(count);
const tableSchema = v.object({ schema: text, name: text, rows: count, oid });
/** Its rows are made again, and may be others by then. */
const viewSchema = v.object({ schema: text, name: text, oid });
const ownerSchema = v.object({
  type: v.picklist(Object.keys(ownedTypes) as OwnedType[]),
  names: v.array(text),
  args: v.array(text),
  classId: count,
  oid: count,
  owner: text,
});
/** -1: none. */
const limit = v.pipe(v.number(), v.integer(), v.minValue(-1));
/** Properties that neither a copy of a database's files nor an archive of pg_dump holds. */
export const propertiesSchema = v.object({
  owner: text,
  /** ALTER DATABASE … SET: what pg_restore leaves out when the database has another name. */
  settings: v.array(settingSchema),
  /** ALTER ROLE … IN DATABASE … SET. */
  roleSettings: v.optional(v.array(v.object({ role: text, ...settingSchema.entries })), []),
  /** The privileges on the database itself; null: the default. */
  privileges: v.nullable(
    v.array(v.object({ grantee: text, privilege: v.picklist(['CREATE', 'CONNECT', 'TEMPORARY']), grantable: v.boolean() })),
  ),
  comment: v.optional(v.nullable(text), null),
  connectionLimit: v.optional(limit, -1),
  isTemplate: v.optional(v.boolean(), false),
});
const databaseSchema = v.object({
  name: text,
  /** Its pg_dump directory inside the dump. */
  directory: v.pipe(text, v.regex(/^database-\d+$/)),
  encoding: text,
  collate: text,
  ctype: text,
  /** From 15 on; 'c' is libc's, 'i' ICU's, 'b' PostgreSQL's own. */
  locale: v.object({ provider: v.picklist(['c', 'i', 'b']), name: v.nullable(text) }),
  /** `tables`: the oids of those whose rows the extension gives to a dump. */
  extensions: v.array(v.object({ name: text, version: text, schema: v.optional(text), tables: v.optional(v.array(count), []) })),
  /** Ordinary tables, without what extensions bring; rows as they are in the archive. */
  tables: v.array(tableSchema),
  /** Materialized views that held rows. */
  materializedViews: v.optional(v.array(viewSchema), []),
  /** Objects that do not belong to the database's owner. */
  owners: v.optional(v.array(ownerSchema), []),
  largeObjects: count,
  ...propertiesSchema.entries,
  /** Where tables and indexes lie that are not with the others. */
  tablespaces: v.optional(v.array(text), []),
  /** Where it is not the server's default. */
  tablespace: v.optional(v.nullable(text), null),
});
const roleSchema = v.object({
  name: text,
  login: v.boolean(),
  superuser: v.boolean(),
  createDb: v.boolean(),
  createRole: v.boolean(),
  inherit: v.boolean(),
  replication: v.boolean(),
  bypassRls: v.boolean(),
  connectionLimit: v.optional(limit, -1),
  validUntil: v.optional(v.nullable(text), null),
  memberOf: v.optional(v.array(v.object({ role: text, admin: v.boolean() })), []),
  settings: v.optional(v.array(settingSchema), []),
  /** Only where it was asked for. */
  passwordHash: v.optional(v.nullable(text), null),
});

/** `manifest.json` of a dump: everything that a restore is checked against. */
const manifestSchema = v.object({
  schema: v.literal('dbkit.dump-manifest/v1'),
  createdAt: text,
  server: v.object({ version: text, major: count, systemIdentifier: text }),
  tool: text,
  databases: v.array(databaseSchema),
  /** Databases that nobody named, and that no dump can hold as they are. */
  leftOut: v.optional(v.array(v.object({ database: text, because: text })), []),
  roles: v.array(roleSchema),
  files: v.array(v.object({ path: v.pipe(text, v.check(isPathInside, 'leads out of the backup')), sizeBytes: count, sha256: digest })),
});
export type DumpManifest = v.InferOutput<typeof manifestSchema>;
export type DumpedDatabase = v.InferOutput<typeof databaseSchema>;
export type DatabaseProperties = v.InferOutput<typeof propertiesSchema>;
export type DumpedTable = v.InferOutput<typeof tableSchema>;
export type DumpedOwner = v.InferOutput<typeof ownerSchema>;
export type DumpedView = v.InferOutput<typeof viewSchema>;
export type DumpedRole = v.InferOutput<typeof roleSchema>;

export const MANIFEST = 'manifest.json';
export const digestOf = (body: string | Buffer): string => createHash('sha256').update(body).digest('hex');

/**
 * Reads a dump's manifest. Rejects with `data.corrupt` when it is missing, is not the one that the record names, or names what it must not; with what
 * the disk says where it cannot be read, which says nothing of the dump.
 */
export async function readManifest(directory: string, record: DumpRecord): Promise<DumpManifest> {
  const body = await readRegular(join(directory, MANIFEST), JSON_BYTES_MAX).catch((cause: unknown) => {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    throw new DbkitError('data.corrupt', `${MANIFEST} is missing`, { cause });
  });
  const parsed = parseJson(body, `${MANIFEST} of ${record.label}`);
  if (digestOf(body) !== record.manifestSha256) throw new DbkitError('data.corrupt', `${MANIFEST} is not the one that was written`);
  const manifest = v.safeParse(manifestSchema, parsed);
  if (manifest.success) return manifest.output;
  throw new DbkitError(
    'data.corrupt',
    `${MANIFEST} has an unknown form: ${v.summarize(manifest.issues.slice(0, 3) as typeof manifest.issues)}`,
  );
}

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { DbkitError } from '../../kernel/errors.ts';
import type { DumpRecord } from './record.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const text = v.string();

const settingSchema = v.object({ name: text, value: text });
const tableSchema = v.object({ schema: text, name: text, rows: count });
const databaseSchema = v.object({
  name: text,
  /** Its pg_dump directory inside the dump. */
  directory: v.pipe(text, v.regex(/^database-\d+$/)),
  owner: text,
  encoding: text,
  collate: text,
  ctype: text,
  /** From 15 on; 'c' is libc's, 'i' ICU's, 'b' PostgreSQL's own. */
  locale: v.object({ provider: v.picklist(['c', 'i', 'b']), name: v.nullable(text) }),
  extensions: v.array(v.object({ name: text, version: text })),
  /** Ordinary tables and populated materialized views, without what extensions bring; rows as of the dump's own snapshot. */
  tables: v.array(tableSchema),
  largeObjects: count,
  /** ALTER DATABASE … SET: what pg_restore leaves out when the database has another name. */
  settings: v.array(settingSchema),
  /** ALTER ROLE … IN DATABASE … SET. */
  roleSettings: v.optional(v.array(v.object({ role: text, ...settingSchema.entries })), []),
  /** Who may do what with the database itself; null: the default. */
  privileges: v.nullable(v.array(v.object({ grantee: text, privilege: text, grantable: v.boolean() }))),
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
  /** -1: none. */
  connectionLimit: v.optional(v.pipe(v.number(), v.integer()), -1),
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
  roles: v.array(roleSchema),
  files: v.array(v.object({ path: text, sizeBytes: count, sha256: text })),
});
export type DumpManifest = v.InferOutput<typeof manifestSchema>;
export type DumpedDatabase = v.InferOutput<typeof databaseSchema>;
export type DumpedTable = v.InferOutput<typeof tableSchema>;
export type DumpedRole = v.InferOutput<typeof roleSchema>;

export const MANIFEST = 'manifest.json';
export const digestOf = (body: string): string => createHash('sha256').update(body, 'utf8').digest('hex');

/** Reads a dump's manifest. Rejects with `data.corrupt` when it is missing, or is not the one that the record names. */
export async function readManifest(directory: string, record: DumpRecord): Promise<DumpManifest> {
  const body = await readFile(join(directory, MANIFEST), 'utf8').catch(() => undefined);
  if (body === undefined) throw new DbkitError('data.corrupt', `${MANIFEST} is missing`);
  if (digestOf(body) !== record.manifestSha256) throw new DbkitError('data.corrupt', `${MANIFEST} is not the one that was written`);
  return v.parse(manifestSchema, JSON.parse(body));
}

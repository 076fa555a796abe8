import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { SEED_MARK } from '../../instance/initialize/initdb-scripts.ts';
import { psqlCommandIn } from '../../instance/initialize/sql-statements.ts';
import { DbkitError } from '../../kernel/errors.ts';

const schema = v.object({
  schema: v.literal('dbkit.seed/v1'),
  database: v.string(),
  pgVersion: v.number(),
  sizeBytes: v.number(),
  sha256: v.string(),
  tables: v.array(v.object({ table: v.string(), rows: v.number() })),
});

/** The file beside a seed: enough to see that it was loaded whole. It bears no time, so that the same data is the same file. */
export type SeedManifest = v.InferOutput<typeof schema>;

/** Everything that the loading server makes belongs to the owner of the database, also where the official image runs it as the superuser. */
const HEADER = `${SEED_MARK} A first start runs it from postgresql.initScriptsDir (/docker-entrypoint-initdb.d), \`dbkit seed load\` at any time.
SELECT pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(datdba)::text, false)
  FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database();
`;

/** The lines that pg_dump writes before the first object: comments and settings. Behind them a line may be somebody's text. */
const PREAMBLE = /^(--.*|SET .*;|SELECT pg_catalog\.set_config\(.*|\\restrict .*|)$/;
/** Times and versions, psql's own commands, and what older servers do not know. */
const FOREIGN = /^(-- Dumped .*|SET transaction_timeout = .*;|\\restrict .*)$/;

/**
 * Pure. pg_dump's plain text as a seed: for every major from 13 on, and without psql. The official image gives it to psql all the same, so nothing in
 * it may be a command of psql's: a server that lies to pg_dump could write one (CVE-2025-8714). Throws `recovery.refused` then.
 */
export function asSeed(dumped: string): string {
  const lines = dumped.split('\n');
  const found = lines.findIndex((line) => !PREAMBLE.test(line));
  const [preamble, objects] = found < 0 ? [lines, []] : [lines.slice(0, found), lines.slice(found)];
  const restrict = preamble.find((line) => line.startsWith('\\restrict '));
  const end = restrict === undefined ? -1 : objects.lastIndexOf(restrict.replace('restrict', 'unrestrict'));
  const seed = `${HEADER}${[...preamble.filter((line) => !FOREIGN.test(line)), ...objects.filter((_, index) => index !== end)].join('\n')}`;
  const command = psqlCommandIn(seed);
  if (command === undefined) return seed;
  throw new DbkitError('recovery.refused', `the server’s dump holds a command of psql’s where SQL belongs: ${command.slice(0, 80)}`, {
    hint: 'find out who made the server answer so; nothing was written',
  });
}

/** Pure. */
export const manifestOf = (
  text: string,
  { database, pgVersion, tables }: Pick<SeedManifest, 'database' | 'pgVersion' | 'tables'>,
): SeedManifest => ({
  schema: 'dbkit.seed/v1',
  database,
  pgVersion,
  sizeBytes: Buffer.byteLength(text),
  sha256: sha256(text),
  tables,
});

/** Pure. Undefined for what is no manifest of a seed. */
export function readSeedManifest(text: string): SeedManifest | undefined {
  try {
    const read = v.safeParse(schema, JSON.parse(text));
    return read.success ? read.output : undefined;
  } catch {
    return undefined;
  }
}

/** Pure. A person has written in the seed since it was saved. */
export const isEdited = (text: string, manifest: SeedManifest): boolean => sha256(text) !== manifest.sha256;

/** Pure. `seed/50-seed.sql` → `seed/50-seed.json`: no name that an init script has. */
export const manifestFile = (file: string): string => `${file.replace(/\.sql$/, '')}.json`;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

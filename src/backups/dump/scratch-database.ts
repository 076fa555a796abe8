import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Connection } from '../../instance/connection.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { makeLabel } from '../../kernel/labels.ts';
import { countTables, describeDatabase } from './contents.ts';
import { type DumpNeeds, openSession } from './create.ts';
import type { DumpedDatabase, DumpedTable, DumpManifest } from './manifest.ts';
import { createMissingRoles } from './roles.ts';
import { quoteSetting } from './settings.ts';
import { aroundRestore } from './special-extensions.ts';
import { asConnectionString, type DumpTools } from './tools.ts';

/** By this name, which nobody else gives, a database is known that a killed restore left behind; one that is whole bears its own. */
const TEMPORARY = 'dbkit_restore_';

export interface Dump {
  readonly directory: string;
  readonly manifest: DumpManifest;
  readonly database: DumpedDatabase;
}

/** Any number will do, as long as nobody else's is the same: 'dbkit' in ASCII. */
const ADVISORY_LOCK = 0x64626b6974;
const PATIENCE_MS = 60_000;

/**
 * Makes this session the only one of the server that restores dumps, until it ends, and drops what killed restores left: their databases bear
 * a temporary name until they are whole. Rejects with `lock.held` when another restore takes longer than a minute.
 */
export async function beginRestoring(session: Connection, { clock }: DumpNeeds['system'], signal: AbortSignal): Promise<void> {
  const deadlineMs = clock.monotonicMs() + PATIENCE_MS;
  const isOurs = async (): Promise<boolean> =>
    (await session.query<{ ours: boolean }>(`SELECT pg_try_advisory_lock(${ADVISORY_LOCK}) AS ours`))[0]!.ours;
  while (!(await isOurs())) {
    if (clock.monotonicMs() >= deadlineMs)
      throw new DbkitError('lock.held', 'another restore of a dump is under way', {
        hint: 'nothing was changed; try again when it has ended',
      });
    await clock.sleep(100, signal);
  }
  const left = await session.query<{ name: string }>('SELECT datname AS name FROM pg_database WHERE datname ~ $1', [
    `^${TEMPORARY}\\d{8}_\\d{6}$`,
  ]);
  for (const { name } of left) await session.query(`DROP DATABASE ${session.escapeIdentifier(name)} WITH (FORCE)`);
}

/**
 * Restores one database of a dump under a new, temporary name and counts every table against the manifest. Resolves to that name; whatever
 * fails drops it again. Rejects with `data.corrupt` when tables or rows are missing.
 */
export async function restoreBeside(
  needs: DumpNeeds,
  tools: DumpTools,
  session: Connection,
  dump: Dump,
  signal: AbortSignal,
): Promise<string> {
  const name = makeLabel('replaced', needs.system.clock.now()).replace('replaced_', TEMPORARY);
  await createEmpty(needs, session, name, dump);
  try {
    await fill(needs, tools, name, dump, signal);
    return name;
  } catch (cause) {
    await session.query(`DROP DATABASE IF EXISTS ${session.escapeIdentifier(name)} WITH (FORCE)`).catch(() => undefined); // Else the next one does.
    throw cause;
  }
}

/** How CREATE DATABASE names a locale of each provider (from 15 and 17 on). */
const localeProviders = {
  c: 'LOCALE_PROVIDER libc LOCALE',
  i: 'LOCALE_PROVIDER icu ICU_LOCALE',
  b: 'LOCALE_PROVIDER builtin BUILTIN_LOCALE',
} as const;

async function createEmpty({ system }: DumpNeeds, session: Connection, name: string, { manifest, database }: Dump): Promise<void> {
  const [id, text] = [session.escapeIdentifier, session.escapeLiteral];
  const left = await createMissingRoles(session, manifest, database);
  if (left.length > 0)
    system.log.warn('roles.left', `a restore makes nobody superuser; what these roles had is yours to give: ${left.join(' ')}`);
  const { encoding, collate, ctype, owner, locale } = database;
  const provided = locale.name === null ? '' : ` ${localeProviders[locale.provider]} ${text(locale.name)}`;
  await session.query(
    `CREATE DATABASE ${id(name)} OWNER ${id(owner)} TEMPLATE template0 ENCODING ${text(encoding)} LC_COLLATE ${text(collate)} LC_CTYPE ${text(ctype)}${provided}`,
  );
  for (const setting of database.settings) await session.query(`ALTER DATABASE ${id(name)} SET ${quoteSetting(session, setting)}`);
  for (const { role, ...setting } of database.roleSettings)
    await session.query(`ALTER ROLE ${id(role)} IN DATABASE ${id(name)} SET ${quoteSetting(session, setting)}`);
  if (database.privileges) await session.query(`REVOKE ALL ON DATABASE ${id(name)} FROM PUBLIC`);
  for (const { grantee, privilege, grantable } of database.privileges ?? []) {
    const to = grantee === '' ? 'PUBLIC' : id(grantee);
    await session.query(`GRANT ${privilege} ON DATABASE ${id(name)} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''}`);
  }
}

async function fill(needs: DumpNeeds, tools: DumpTools, name: string, { directory, database }: Dump, signal: AbortSignal): Promise<void> {
  const around = aroundRestore(database.extensions);
  const inside = async (statements: readonly string[]): Promise<void> => {
    if (statements.length === 0) return;
    const session = await openSession(needs, name, signal);
    try {
      for (const statement of statements) await session.query(statement);
    } finally {
      await session.end();
    }
  };
  await inside(around.before);
  const args = ['--exit-on-error', `--jobs=${availableParallelism()}`, '--no-password', `--dbname=${asConnectionString(name)}`];
  await tools.run('pg_restore', [...args, join(directory, database.directory)], signal);
  needs.system.reached('dump.loaded');
  await inside([...around.after, 'ANALYZE']);
  const session = await openSession(needs, name, signal);
  try {
    requireSame(database.tables, await countTables(session));
    const { largeObjects } = await describeDatabase(session);
    if (largeObjects !== database.largeObjects)
      throw new DbkitError('data.corrupt', `${largeObjects} large objects were restored instead of ${database.largeObjects}`);
  } finally {
    await session.end();
  }
}

/** Pure. Every table of the manifest, with as many rows. Rejects with `data.corrupt` and the first few that differ. */
export function requireSame(wanted: readonly DumpedTable[], found: readonly DumpedTable[]): void {
  const key = ({ schema, name }: DumpedTable): string => `${schema}.${name}`;
  const rows = new Map(found.map((table) => [key(table), table.rows]));
  const wrong = wanted.flatMap((table): string[] => {
    const now = rows.get(key(table));
    if (now === table.rows) return [];
    return [now === undefined ? `${key(table)} is missing` : `${key(table)} has ${now} rows instead of ${table.rows}`];
  });
  if (wrong.length > 0)
    throw new DbkitError('data.corrupt', `what was restored is not what was dumped: ${wrong.slice(0, 5).join(', ')}`, {
      hint: 'nothing was changed; restore another dump: `dbkit backup list`',
    });
}

import { type Connection, sqlStateOf } from '../instance/connection.ts';
import { connectSuperuser, type Local } from '../instance/local.ts';
import { checkDatabases } from '../instance/server/databases.ts';
import { onPrivateServer } from '../instance/server/private-server.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { HeldLock } from '../kernel/machine.ts';
import { carrySettingsOfAll } from './carry-roles.ts';
import type { UpgradeReport } from './contract.ts';
import type { UpgradeMethod } from './methods.ts';
import { type OldCluster, quietBeside } from './old-cluster.ts';
import { differences, listKnown } from './relations.ts';

const SHOWN = 5;

/**
 * The new cluster on a server of its own: every database answers, every relation of the old one is there, extensions are brought to the version that
 * is installed, statistics are made, and settings for every role come over. Rejects with `data.corrupt`, naming what is not there; the old cluster is untouched then.
 */
export async function finishNewCluster(
  local: Local,
  lock: HeldLock,
  { old, method }: { readonly old: OldCluster; readonly method: UpgradeMethod },
  signal: AbortSignal,
): Promise<Pick<UpgradeReport, 'extensions' | 'databases' | 'relations' | 'missing'>> {
  const { volume, system, binaries } = local;
  const server = { dataDir: volume.staged, lock, settings: quietBeside, what: `the server of PostgreSQL ${binaries.major}` };
  const databases = method === 'dump' ? old.databases.filter((name) => !old.snapshots.includes(name)) : old.databases;
  const done = await onPrivateServer(local, { ...server, trusts: true }, signal, async (socketDir) => {
    const check = await checkDatabases(local, { socketDir }, signal);
    const silent = [...check.silent, ...check.unknown].map(({ database, words }) => `database ${database} does not answer (${words})`);
    const expected = old.relations.filter(({ database }) => databases.includes(database));
    const found = await listKnown(local, socketDir, databases, signal);
    const wrong = [...silent, ...differences(expected, found, { bySize: method === 'pg_upgrade' })];
    if (wrong.length > 0)
      throw new DbkitError('data.corrupt', `the new cluster is not what the old one is: ${wrong.slice(0, SHOWN).join(', ')}`, {
        hint: 'the old cluster is in its place; report this with the lines above; nothing was changed',
      });
    const extensions = await eachDatabase(
      local,
      socketDir,
      [...databases, 'template1'],
      (session, database) => bringUp(session, database, system),
      signal,
    );
    if (method === 'pg_upgrade') {
      system.log.info('upgrade.statistics', 'making statistics for the planner');
      await eachDatabase(local, socketDir, databases, async (session) => void (await session.query('ANALYZE')), signal);
    }
    const last = await eachDatabase(local, socketDir, ['template1'], (session) => carrySettingsOfAll(session, old.settingsOfAll), signal);
    return { extensions: extensions.flat(), databases: databases.length, relations: expected.length, missing: last.flat() };
  });
  await onPrivateServer(local, server, signal, async () => undefined); // With its own pg_hba.conf, as it will be started.
  return done;
}

async function eachDatabase<T>(
  local: Local,
  socketDir: string,
  databases: readonly string[],
  work: (session: Connection, database: string) => Promise<T>,
  signal: AbortSignal,
): Promise<T[]> {
  const all: T[] = [];
  for (const database of databases) {
    const session = await connectSuperuser(local, database, signal, socketDir);
    try {
      all.push(await work(session, database));
    } finally {
      await session.end();
    }
  }
  return all;
}

const BEHIND = `
  SELECT e.extname AS name, e.extversion AS "from", a.default_version AS "to"
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_available_extensions a ON a.name = e.extname WHERE a.default_version <> e.extversion ORDER BY e.oid`;

/** An extension that has no way to its new version goes on as it is, and is told. */
async function bringUp(session: Connection, database: string, { log }: Local['system']): Promise<UpgradeReport['extensions']> {
  const done: UpgradeReport['extensions'][number][] = [];
  for (const one of await session.query<{ name: string; from: string; to: string }>(BEHIND))
    await session.query(`ALTER EXTENSION ${session.escapeIdentifier(one.name)} UPDATE`).then(
      () => void done.push({ database, ...one }),
      (cause: unknown) => {
        if (sqlStateOf(cause) === undefined) throw cause;
        log.warn('upgrade.extension', `the extension ${one.name} of database ${database} stays at ${one.from}: ${wordsOf(cause)}`, {
          database,
        });
      },
    );
  return done;
}

/** Extensions of the old cluster that the new programs do not bring. `socketDir`: of the new server. */
export async function unavailable(local: Local, socketDir: string, { extensions }: OldCluster, signal: AbortSignal): Promise<string[]> {
  const session = await connectSuperuser(local, 'template1', signal, socketDir);
  try {
    const rows = await session.query<{ name: string }>('SELECT name FROM pg_catalog.pg_available_extensions');
    const there = new Set(rows.map(({ name }) => name));
    return [...new Set(extensions.map(({ name }) => name))].filter((name) => !there.has(name));
  } finally {
    await session.end();
  }
}

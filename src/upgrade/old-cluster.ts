import { IS_LEFT, IS_SNAPSHOT } from '../backups/dump/own-names.ts';
import type { Hold } from '../boot/hold.ts';
import { dropInventory } from '../inspection/inventory.ts';
import { connectSuperuser, type Local } from '../instance/local.ts';
import { onPrivateServer } from '../instance/server/private-server.ts';
import { type KnownRelation, listKnown } from './relations.ts';

/** How a database was made; providers as pg_database has them. */
export interface Locale {
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly provider: 'c' | 'i' | 'b';
  readonly locale: string | null;
}

/** The catalogs of the old cluster, as far as the new one must be made like it. */
export interface OldCluster {
  /** The role that initdb made: pg_upgrade wants the same one (oid 10, pg_authid.dat). */
  readonly bootstrap: string;
  readonly template0: Locale;
  /** Every one that is carried over. */
  readonly databases: readonly string[];
  readonly closed: readonly string[];
  readonly invalid: readonly string[];
  /** Copies of databases that stay with the old cluster where it is dumped. */
  readonly snapshots: readonly string[];
  readonly prepared: readonly string[];
  readonly template1Objects: number;
  /** Its schema public has other privileges than initdb gave. */
  readonly template1IsGuarded: boolean;
  /** `ALTER ROLE ALL SET …`, as pg_db_role_setting has it. */
  readonly settingsOfAll: readonly string[] | null;
  readonly slots: readonly { readonly name: string; readonly type: 'physical' | 'logical' }[];
  /** Those that are enabled. */
  readonly subscriptions: readonly { readonly database: string; readonly name: string }[];
  readonly extensions: readonly { readonly database: string; readonly name: string; readonly version: string }[];
  readonly relations: readonly KnownRelation[];
}

/** Nothing of the user's runs in a server that is only asked, and it says its words in English. */
export const quiet: Readonly<Record<string, string>> = {
  lc_messages: 'C',
  ssl: 'off',
  autovacuum: 'off',
  logging_collector: 'off',
  max_logical_replication_workers: '0',
  synchronous_standby_names: '',
  'cron.launch_active_jobs': 'off',
  log_statement: 'none', // Roles are made with the hashes of their passwords.
  log_min_duration_statement: '-1',
};

/**
 * For every server on the new cluster until it is the instance: it has the old one's archive_command by then, and its segments bear names that the old
 * cluster goes on to use. Nothing is lost: a segment without a status file is archived once archiving is on (XLogArchiveCheckDone, xlogarchive.c).
 */
export const quietBeside: Readonly<Record<string, string>> = { ...quiet, archive_mode: 'off' };

/**
 * The old server on its own data, for dbkit alone, for as long as `work` takes: what a crash has left is replayed by the only programs that can,
 * and it is shut down cleanly.
 */
export async function onOldServer<T>({ local, lock }: Hold, signal: AbortSignal, work: (socketDir: string) => Promise<T>): Promise<T> {
  await dropInventory(local.system, local.stateDir); // It tells of a server that has not run since.
  const server = { dataDir: local.volume.dataDir, lock, settings: quiet, trusts: true, what: 'the server of the old major version' };
  return onPrivateServer(local, server, signal, work);
}

interface DatabaseRow extends Locale {
  readonly name: string;
  readonly isOpen: boolean;
  readonly isInvalid: boolean;
  readonly isSnapshot: boolean;
  /** Left behind by a restore of a dump that was killed. */
  readonly isLeft: boolean;
}

const DATABASES = `
  SELECT datname AS name, datallowconn AS "isOpen", datconnlimit = -2 AS "isInvalid",
         ${IS_SNAPSHOT} AS "isSnapshot", ${IS_LEFT} AS "isLeft",
         pg_catalog.pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype,
         coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
         coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale') AS locale
    FROM pg_catalog.pg_database d ORDER BY 1`;

const OBJECTS = `
  SELECT ((SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::pg_catalog.regnamespace)
        + (SELECT count(*) FROM pg_catalog.pg_proc WHERE oid >= 16384) + (SELECT count(*) FROM pg_catalog.pg_extension WHERE oid >= 16384)
        + (SELECT count(*) FROM pg_catalog.pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_(toast|temp)')
        + (SELECT count(*) FROM pg_catalog.pg_type WHERE oid >= 16384 AND typtype IN ('d', 'e', 'r'))
        + (SELECT count(*) FROM pg_catalog.pg_default_acl) + (SELECT count(*) FROM pg_catalog.pg_cast WHERE oid >= 16384)
        + (SELECT count(*) FROM pg_catalog.pg_operator WHERE oid >= 16384) + (SELECT count(*) FROM pg_catalog.pg_event_trigger))::int AS objects,
         EXISTS (SELECT FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_init_privs i ON i.objoid = n.oid AND i.classoid = 'pg_namespace'::pg_catalog.regclass
                  WHERE nspname = 'public' AND nspacl IS DISTINCT FROM initprivs) AS "isGuarded",
         (SELECT setconfig FROM pg_catalog.pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0) AS "settingsOfAll"`;

const SLOTS = `SELECT slot_name AS name, slot_type AS type FROM pg_catalog.pg_replication_slots WHERE NOT temporary ORDER BY 1`;

const SUBSCRIPTIONS = `
  SELECT datname AS database, subname AS name FROM pg_catalog.pg_subscription JOIN pg_catalog.pg_database d ON d.oid = subdbid WHERE subenabled ORDER BY 1, 2`;

/** Asks the catalogs of every database. */
export async function askOld(local: Local, socketDir: string, signal: AbortSignal): Promise<OldCluster> {
  const session = await connectSuperuser(local, 'template1', signal, socketDir);
  try {
    const all = await session.query<DatabaseRow>(DATABASES);
    const [bootstrap] = await session.query<{ name: string }>('SELECT rolname AS name FROM pg_catalog.pg_roles WHERE oid = 10');
    const [inTemplate] = await session.query<{ objects: number; isGuarded: boolean; settingsOfAll: string[] | null }>(OBJECTS);
    const prepared = await session.query<{ gid: string }>('SELECT gid FROM pg_catalog.pg_prepared_xacts');
    const usable = all.filter(({ isOpen, isInvalid, isLeft }) => isOpen && !isInvalid && !isLeft);
    const named = (rows: readonly DatabaseRow[]): string[] => rows.map(({ name }) => name);
    const databases = named(usable.filter(({ name }) => name !== 'template1'));
    const { encoding, collate, ctype, provider, locale } = all.find(({ name }) => name === 'template0') ?? all[0]!;
    return {
      bootstrap: bootstrap?.name ?? local.settings.superuser,
      template0: { encoding, collate, ctype, provider, locale },
      databases,
      closed: named(all.filter(({ name, isOpen, isInvalid }) => !isOpen && !isInvalid && name !== 'template0')),
      invalid: named(all.filter(({ isInvalid }) => isInvalid)),
      snapshots: named(usable.filter(({ isSnapshot }) => isSnapshot)),
      prepared: prepared.map(({ gid }) => gid),
      template1Objects: inTemplate?.objects ?? 0,
      template1IsGuarded: inTemplate?.isGuarded ?? false,
      settingsOfAll: inTemplate?.settingsOfAll ?? null,
      slots: await session.query(SLOTS),
      subscriptions: await session.query(SUBSCRIPTIONS),
      extensions: await extensionsIn(local, socketDir, [...databases, 'template1'], signal),
      relations: await listKnown(local, socketDir, databases, signal),
    };
  } finally {
    await session.end();
  }
}

async function extensionsIn(
  local: Local,
  socketDir: string,
  databases: readonly string[],
  signal: AbortSignal,
): Promise<OldCluster['extensions']> {
  const all: OldCluster['extensions'][number][] = [];
  for (const database of databases) {
    const session = await connectSuperuser(local, database, signal, socketDir);
    try {
      const rows = await session.query<{ name: string; version: string }>(
        'SELECT extname AS name, extversion AS version FROM pg_catalog.pg_extension ORDER BY 1',
      );
      all.push(...rows.map((row) => ({ database, ...row })));
    } finally {
      await session.end();
    }
  }
  return all;
}

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { asServerUser, serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot } from '../harness/dbkit.ts';
import { copyTree, makeDirectory } from '../harness/files.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { killAllIn } from '../harness/processes.ts';
import { untilKept } from '../wal/kept.ts';
import { look, PHASES, type Phase, type Seen, write } from './harm-witness.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';
import { untilMarked } from './wal.ts';

/** What there is beside the data, and how the server was left. */
export interface Circumstances {
  readonly left: 'stopped' | 'crashed';
  readonly backups: 0 | 1 | 2;
  readonly archive: boolean;
  /** The state folder, with the mark and the inventory. */
  readonly state: 'there' | 'gone';
  /** Where pg_checksums is there to switch them off. */
  readonly checksums: boolean;
}

/** A relation's place on disk and how many sound rows each of its blocks holds. */
export interface Place {
  readonly path: string;
  readonly others: readonly string[];
  readonly rowsByBlock: Readonly<Record<number, number>>;
}

/** An instance that was written to in every phase and left; it can be put back as often as somebody harms it. */
export interface Scene {
  readonly instance: Instance;
  readonly circumstances: Circumstances;
  readonly truth: Seen;
  /** When each phase was over. */
  readonly moments: readonly { readonly lsn: bigint; readonly at: Date }[];
  /** By `database.table`. */
  readonly places: Readonly<Record<string, Place>>;
  /** By name: its folder. */
  readonly databases: Readonly<Record<string, string>>;
  /** The data directory as it was after phase 1. */
  readonly older: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  putBack(): Promise<void>;
}

const settings = {
  wal_keep_size: '256MB',
  max_prepared_transactions: '5',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
  max_wal_size: '1GB',
  fsync: 'off',
};
/** By name: without it, only instances that dbkit has initialised have their WAL kept. */
const archived = { env: { DBKIT_WAL: 'tail' } };
const restorable = ['data', 'state', 'backups', 'space'] as const;

/** Makes one: some seconds. */
export async function makeScene(instance: Instance, circumstances: Circumstances): Promise<Scene> {
  await configure(instance, { postgresql: { settings: settings } });
  const { root, dataDir } = instance;
  const options: { readonly env?: Readonly<Record<string, string>> } = circumstances.archive ? archived : {};
  const space = join(root, 'space');
  const older = join(root, 'older');
  await makeDirectory(space, serverUser, 0o700);
  const program = join(instance.programs.directory, 'pg_checksums');
  if (!circumstances.checksums && existsSync(program)) {
    const { status, stderr } = spawnSync(program, ['--disable', '--pgdata', dataDir], { ...asServerUser, cwd: '/' });
    if (status !== 0) throw new Error(stderr.toString());
  }
  const running = await boot(instance, options);
  const moments: { lsn: bigint; at: Date }[] = [];
  for (const phase of PHASES) {
    await write(instance, phase, space);
    moments.push(await momentNow(instance));
    await afterPhase(instance, phase, circumstances, older);
  }
  const truth = await look(instance);
  expect(Object.values(truth.rows).filter(({ error }) => error)).toEqual([]);
  const places = await placesOf(instance, [...Object.keys(truth.rows), 'app.counter', 'app.pending']);
  const found = await ask<{ name: string; path: string }>(
    instance,
    'postgres',
    "SELECT datname AS name, 'base/' || oid AS path FROM pg_database",
  );
  if (circumstances.archive) await untilKept(instance);
  if (circumstances.left === 'crashed') {
    await untilMarked(instance); // What is committed in the two seconds before a crash that takes the WAL with it nobody can know.
    await crash(instance, running);
  } else await expectStopped(instance, await running.stop());
  if (circumstances.state === 'gone') await rm(instance.stateDir, { recursive: true });
  for (const name of restorable) if (existsSync(join(root, name))) await copyTree(join(root, name), join(root, `kept-${name}`));
  return {
    instance,
    circumstances,
    truth,
    moments,
    places,
    databases: Object.fromEntries(found.map(({ name, path }) => [name, path])),
    older,
    env: options.env ?? {},
    async putBack() {
      await killAllIn(dataDir);
      for (const name of restorable) {
        await rm(join(root, name), { recursive: true, force: true });
        if (existsSync(join(root, `kept-${name}`))) await copyTree(join(root, `kept-${name}`), join(root, name));
      }
    },
  };
}

async function afterPhase(instance: Instance, phase: Phase, { backups }: Circumstances, older: string): Promise<void> {
  if (phase === 0 && backups === 2) await takeBackup(instance);
  if (phase === 1) {
    if (backups === 2) await sleep(1_100); // Labels are of the second.
    if (backups > 0) await takeBackup(instance);
    await ask(instance, 'app', 'CHECKPOINT');
    await copyTree(instance.dataDir, older);
  }
  if (phase === 2) await ask(instance, 'app', 'CHECKPOINT', 'SELECT pg_switch_wal()');
  if (phase === 3) await ask(instance, 'app', 'SELECT pg_switch_wal()', 'CREATE TABLE last_words (id int)');
}

async function momentNow(instance: Instance): Promise<{ lsn: bigint; at: Date }> {
  const [now] = await ask<{ lsn: string; at: Date }>(
    instance,
    'postgres',
    "SELECT (pg_current_wal_insert_lsn() - '0/0')::text AS lsn, now() AS at",
  );
  return { lsn: BigInt(now!.lsn), at: now!.at };
}

async function placesOf(instance: Instance, names: readonly string[]): Promise<Record<string, Place>> {
  const places: Record<string, Place> = {};
  for (const name of names) {
    const [database = '', table = ''] = name.split('.');
    const [own] = await ask<{ path: string; others: string[] }>(
      instance,
      database,
      `SELECT pg_relation_filepath('${table}') AS path,
              array(SELECT pg_relation_filepath(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid IN (i.indrelid)
                     WHERE c.oid = '${table}'::regclass OR c.oid = (SELECT reltoastrelid FROM pg_class WHERE oid = '${table}'::regclass))
              || array(SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = '${table}'::regclass AND reltoastrelid <> 0)
              || ${table === 'objects' ? "array[pg_relation_filepath('pg_largeobject'), pg_relation_filepath('pg_largeobject_metadata')]" : 'array[]::text[]'} AS others`,
    );
    const rows = await ask<{ block: number; rows: number }>(
      instance,
      database,
      `SELECT (ctid::text::point)[0]::int AS block, count(*)::int AS rows FROM ${table} GROUP BY 1`,
    );
    places[name] = { ...own!, rowsByBlock: Object.fromEntries(rows.map(({ block, rows: held }) => [block, held])) };
  }
  return places;
}

/** Every file and folder below the data directory, and of the tablespace as PostgreSQL sees it. */
export async function entriesOf(dataDir: string): Promise<string[]> {
  const entries = await readdir(dataDir, { recursive: true });
  const [space] = await readdir(join(dataDir, 'pg_tblspc')).catch(() => [] as string[]);
  const inside =
    space === undefined ? [] : await readdir(join(dataDir, 'pg_tblspc', space), { recursive: true }).catch(() => [] as string[]);
  return [...entries, ...inside.map((name) => join('pg_tblspc', space!, name))].sort();
}

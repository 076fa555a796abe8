import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseBackups } from '../../backups/backup.ts';
import type { PointRequest } from '../../backups/base/points/point.ts';
import { createCopies } from '../../backups/offsite/copies.ts';
import type { PostgresqlOptions } from '../../boot/hold.ts';
import { inspect } from '../../inspection/inspect.ts';
import { findBinaries } from '../../instance/binaries.ts';
import type { Local } from '../../instance/local.ts';
import { copySettings, onPrivateServer } from '../../instance/server/private-server.ts';
import { volumeOf } from '../../instance/volume.ts';
import { DbkitError, isAbort } from '../../kernel/errors.ts';
import { bringTables } from '../bring-tables.ts';
import type { Checks } from '../checks.ts';
import { type CountedTable, countRows, differences, inDatabase, type Reach, totalRows } from '../counted-rows.ts';
import { inScratchFolder } from '../scratch.ts';
import { type CameBack, comeBack, reachOf, withoutTheData } from './come-back.ts';

/** The figures of a rehearsal. */
export interface Rehearsed {
  readonly label: string;
  readonly source: string;
  readonly rtoMs: number;
  readonly rows: { readonly tables: number; readonly rows: number };
  /** The data that came back; undefined where the data was not gone. */
  readonly back: Pick<CameBack, 'nextXid' | 'plan' | 'databases'> | undefined;
}

export interface Disaster {
  readonly options: PostgresqlOptions;
  readonly checks: Checks;
  readonly point: PointRequest;
  /** Compares with the running server, where nobody has written to it meanwhile. */
  compare(counted: readonly CountedTable[], nextXid: bigint): Promise<string | null | { readonly skipped: string }>;
}

/** The machine and its data are gone; the repository is left. */
export async function totalLoss({ options, checks, point, compare }: Disaster, signal: AbortSignal): Promise<Rehearsed> {
  const of = await withoutTheData(options, options.config.backupDir);
  return readBack({ options, checks, point, compare }, { of, source: 'repository' }, signal);
}

/** The machine, its data and its repository are gone; a copy elsewhere is left. */
export async function remoteRegion(
  { options, checks, point, compare }: Disaster,
  copy: string | undefined,
  signal: AbortSignal,
): Promise<Rehearsed> {
  const { config, system, reveal } = options;
  const name = copy ?? Object.keys(config.copies)[0];
  if (name === undefined)
    throw new DbkitError('usage.invalid', 'no copy elsewhere is configured, so nothing would be left', {
      hint: 'name one under `copies:` in dbkit.yaml; docs/guide/copies.md says how',
    });
  return inScratchFolder(options, signal, async ({ path, owner }) => {
    const backupDir = join(path, 'repository');
    await system.files.makeDirectory(backupDir, { mode: 0o700, owner });
    const away = createCopies({ config: { ...config, backupDir }, owner, system, clock: system.clock, reveal });
    const begunMs = system.clock.monotonicMs();
    await away.bring(name, 'latest', { identity: undefined, systemIdentifier: undefined, point: undefined }, signal);
    const broughtMs = system.clock.monotonicMs() - begunMs;
    const of = await withoutTheData(options, backupDir);
    const rehearsed = await readBack({ options, checks, point: { ...point, timeline: undefined }, compare }, { of, source: name }, signal);
    return { ...rehearsed, rtoMs: rehearsed.rtoMs + broughtMs };
  });
}

const readBack = (
  { options, checks, point, compare }: Disaster,
  { of, source }: { readonly of: BaseBackups; readonly source: string },
  signal: AbortSignal,
): Promise<Rehearsed> =>
  comeBack(options, { of, point }, checks, signal, async (back) => {
    let counted: readonly CountedTable[] = [];
    await checks.add('every row can be read', async () => {
      counted = await countRows(back.reach, signal);
      return null;
    });
    await checks.add('rows are those of the running server', () => compare(counted, back.nextXid), { isOfBackup: false });
    return { label: back.plan.label, source, rtoMs: back.tookMs, rows: totalRows(counted), back };
  });

const LARGEST = `
  SELECT n.nspname AS schema, c.relname AS name, pg_relation_filepath(c.oid) AS path
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     AND pg_relation_size(c.oid) > 0
     AND NOT EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))
     AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND classid = 'pg_class'::regclass AND deptype = 'e')
   ORDER BY pg_relation_size(c.oid) DESC, 1, 2 LIMIT 1`;

interface Victim {
  readonly schema: string;
  readonly name: string;
  readonly path: string;
}

async function victimIn(reach: Reach, database: string, signal: AbortSignal): Promise<Victim> {
  const [victim] = await inDatabase(reach, database, signal, (session) => session.query<Victim>(LARGEST));
  if (victim) return victim;
  throw new DbkitError('usage.invalid', `the database ${database} has no table with rows, so there is nothing to lose`, {
    hint: 'rehearse total-loss, which needs none: `dbkit drill total-loss`',
  });
}

const databaseOf = ({ config: { postgresql } }: PostgresqlOptions): string => postgresql.database ?? postgresql.username;

/** A table is dropped in a copy that stands for the server, and comes back there from the repository. */
export async function tableLoss({ options, checks, point }: Disaster, signal: AbortSignal): Promise<Rehearsed> {
  const { clock } = options.system;
  const of = await withoutTheData(options, options.config.backupDir);
  return comeBack(options, { of, point }, checks, signal, async ({ reach, plan, scratch }) => {
    const database = databaseOf(options);
    const before = await countRows(reach, signal);
    const { schema, name } = await victimIn(reach, database, signal);
    await inDatabase(reach, database, signal, async (session) => {
      const id = session.escapeIdentifier;
      for (const trigger of await session.query<{ name: string }>('SELECT evtname AS name FROM pg_event_trigger'))
        await session.query(`ALTER EVENT TRIGGER ${id(trigger.name)} DISABLE`); // It would run the user's code as the superuser.
      await session.query(`DROP TABLE ${id(schema)}.${id(name)} CASCADE`);
    });
    const begunMs = clock.monotonicMs();
    const { postgresql } = options.config;
    const standIn = { ...options, config: { ...options.config, postgresql: { ...postgresql, socketDir: scratch.socketDir } } };
    const backup = (await of.repository.list(signal)).find(({ label }) => label === plan.label)!;
    await checks.add('the dropped table comes back', async () => {
      await bringTables(standIn, { backup, of }, { tables: [`${schema}.${name}`], database, point }, signal);
      return null;
    });
    const rtoMs = clock.monotonicMs() - begunMs;
    let after: readonly CountedTable[] = [];
    await checks.add('it has every row', async () => {
      after = await countRows(reach, signal);
      return differences(before, after);
    });
    return { label: plan.label, source: 'repository', rtoMs, rows: totalRows(after), back: undefined };
  });
}

const PAGE_BYTES = 8192;

/** A page of a table is overwritten in a copy; the damage must be found, and a restore must give back every row. */
export async function corruption({ options, checks, point, compare }: Disaster, signal: AbortSignal): Promise<Rehearsed> {
  const of = await withoutTheData(options, options.config.backupDir);
  const before = await inScratchFolder(options, signal, async ({ path, owner, lock }) => {
    const { config, system, passwordIsGiven } = options;
    const { label } = await of.findPoint(point, undefined, signal);
    const backup = (await of.repository.list(signal)).find((one) => one.label === label)!;
    const binaries = await findBinaries({ major: backup.pgVersion, directory: config.postgresql.binDir }, system, signal);
    const volume = volumeOf(path);
    const local: Local = {
      ...{ settings: config.postgresql, passwordIsGiven, volume, stateDir: config.stateDir, backupDir: config.backupDir },
      ...{ logFile: join(path, 'server.log'), owner, binaries, system },
    };
    await of.stage(backup, { directory: volume.staged, walFrom: undefined, durable: false, point }, signal);
    const onCopy = <T>(work: (reach: Reach) => Promise<T>): Promise<T> =>
      onPrivateServer(
        local,
        {
          dataDir: volume.staged,
          lock,
          settings: copySettings(binaries.major, { throwAway: true }),
          trusts: true,
          what: `the copy of ${label}`,
        },
        signal,
        (socketDir) => work(reachOf({ local, socketDir })),
      );
    const [counted, victim] = await onCopy(
      async (reach) => [await countRows(reach, signal), await victimIn(reach, databaseOf(options), signal)] as const,
    );
    await overwriteFirstPage(join(volume.staged, victim.path));
    await checks.add('the damage is found', async () => {
      const { report } = await inspect(volume.staged, { stateDir: join(path, 'state'), deep: true }, system, signal);
      if (report.findings.some((finding) => finding.path === victim.path || finding.path.startsWith(`${victim.path} `))) return null;
      return onCopy((reach) => countRows(reach, signal)).then(
        () => `nothing noticed that the first page of ${victim.schema}.${victim.name} is overwritten`,
        (cause: unknown) => {
          if (isAbort(cause)) throw cause;
          return null; // The server itself refuses to read it.
        },
      );
    });
    return counted;
  });
  const rehearsed = await readBack({ options, checks, point, compare }, { of, source: 'repository' }, signal);
  await checks.add('no row fewer than before the damage', async () => {
    const rows = totalRows(before);
    return rehearsed.rows.rows >= rows.rows && rehearsed.rows.tables >= rows.tables
      ? null
      : `${rehearsed.rows.rows} rows in ${rehearsed.rows.tables} tables came back, and there were ${rows.rows} in ${rows.tables}`;
  });
  return rehearsed;
}

async function overwriteFirstPage(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.alloc(PAGE_BYTES, 0xff), 0, PAGE_BYTES, 0);
  } finally {
    await file.close();
  }
}

import { chmod, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fromText, toText } from '../../formats/byte-path.ts';
import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { openForServer } from '../../instance/sessions.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import { lowerPriority } from '../../machine/low-priority.ts';
import type { BackupOptions } from '../backup.ts';
import { syncTree } from '../durable-tree.ts';
import { listTree } from '../list-tree.ts';
import { hashFile } from '../regular-file.ts';
import type { RepositoryOf } from '../repository.ts';
import { type ChosenDatabases, chooseDatabases, DATABASES, type KnownDatabase } from './choose-databases.ts';
import { describeDatabase, listRelations } from './contents.ts';
import { readTables } from './data-file.ts';
import { type LoaderNeeds, openSession } from './loader.ts';
import { type DumpedDatabase, type DumpedTable, type DumpManifest, digestOf, MANIFEST } from './manifest.ts';
import type { DumpRecord } from './record.ts';
import { listRoles } from './roles.ts';
import { sealOf } from './seal.ts';
import { type DumpTools, findTools } from './tools.ts';

export interface DumpNeeds extends LoaderNeeds {
  readonly repository: RepositoryOf<DumpRecord>;
}

/**
 * Dumps databases with pg_dump, in its directory format, and publishes them whole, or leaves nothing. Each database is one snapshot; its rows are
 * counted in what pg_dump wrote. Rejects with `usage.invalid` for a database that there is not.
 */
export async function createDump(needs: DumpNeeds, options: BackupOptions, signal: AbortSignal): Promise<DumpRecord> {
  const { system, owner, repository } = needs;
  const begunMs = system.clock.monotonicMs();
  if (options.lowPriority) await lowerPriority(system, signal);
  const [first] = Array.isArray(options.databases) ? (options.databases as readonly string[]) : [];
  const session = await openForServer(needs.config.postgresql, {}, signal).catch((cause: unknown) => {
    if (first === undefined || sqlStateOf(cause) === undefined) throw cause;
    return openSession(needs, first, signal);
  });
  try {
    const server = await serverFacts(session);
    const tools = await findTools(server.major, needs, signal);
    const { chosen, leftOut } = chooseDatabases(await session.query<KnownDatabase>(DATABASES), options.databases);
    const label = await repository.freeLabel(signal);
    const staging = repository.stagingOf(label);
    await system.files.makeDirectory(staging, { mode: 0o700, owner });
    system.log.info('dump.started', `Dumping ${chosen.map(({ name }) => name).join(', ')} as ${label}.`, { label });
    for (const one of leftOut) tellLeftOut(needs, one);
    try {
      const { dumped, unreadable } = await dumpAll(needs, { tools, staging, chosen, options }, signal);
      const roles = await listRoles(session, { withPasswords: options.rolePasswords ?? false });
      const databases = dumped.map(({ database }) => database);
      const contents = { server, tool: tools.version, databases, leftOut: [...leftOut, ...unreadable], roles };
      const measured = new Map(dumped.flatMap((one) => [...one.measured]));
      const sealed = await seal(needs, { label, staging, contents, measured, options }, signal);
      const record = { ...sealed, durationMs: Math.round(system.clock.monotonicMs() - begunMs) };
      await repository.publish(record);
      return record;
    } catch (cause) {
      await rm(staging, { recursive: true, force: true }).catch(() => undefined); // Else the next run removes it.
      throw cause;
    }
  } finally {
    await session.end();
  }
}

async function serverFacts(session: Connection): Promise<DumpManifest['server']> {
  const [row] = await session.query<{ version: string; number: string; identifier: string }>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number,
            (SELECT system_identifier::text FROM pg_control_system()) AS identifier`,
  );
  return { version: row!.version, major: Math.floor(Number(row!.number) / 10_000), systemIdentifier: row!.identifier };
}

/** Size and digest of a file of the dump. */
type Measured = ReadonlyMap<string, { readonly sizeBytes: number; readonly sha256: string }>;

interface Dumping {
  readonly tools: DumpTools;
  readonly staging: string;
  readonly chosen: ChosenDatabases['chosen'];
  readonly options: BackupOptions;
}

type LeftOut = ChosenDatabases['leftOut'][number];

/** character_not_in_repertoire, untranslatable_character: names in a database of the encoding SQL_ASCII are bytes of any kind. */
const notInEncoding = new Set(['22021', '22P05']);
const UNREADABLE =
  'names in it are not written in UTF-8, and dbkit cannot tell what it would keep: rename them; until then a base backup holds it';

function tellLeftOut({ system }: DumpNeeds, one: LeftOut): LeftOut {
  system.log.warn('dump.left-out', `${one.database} is not in the dump: ${one.because}`, { database: one.database });
  return one;
}

async function dumpAll(
  needs: DumpNeeds,
  { tools, staging, chosen, options: { salvage, databases, excludeTableData = [] } }: Dumping,
  signal: AbortSignal,
): Promise<{ dumped: { database: DumpedDatabase; measured: Measured }[]; unreadable: LeftOut[] }> {
  const dumped: { database: DumpedDatabase; measured: Measured }[] = [];
  const unreadable: LeftOut[] = [];
  for (const { name, oid } of chosen) {
    const leaveOut = salvage?.leaveOut.get(name) ?? [];
    const one = { name, directory: `database-${oid}`, staging, leaveOut, excludeTableData, isDamaged: salvage !== undefined };
    try {
      dumped.push(await dumpDatabase(needs, tools, one, signal));
    } catch (cause) {
      signal.throwIfAborted();
      const isUnreadable = notInEncoding.has(sqlStateOf(cause) ?? '');
      if (isUnreadable && !salvage && (chosen.length === 1 || Array.isArray(databases))) throw notReadable(name, cause);
      if (chosen.length === 1 || !(salvage || isUnreadable)) throw cause;
      await rm(join(staging, one.directory), { recursive: true, force: true });
      if (salvage) salvage.skip(name, wordsOf(cause));
      else unreadable.push(tellLeftOut(needs, { database: name, because: UNREADABLE }));
    }
  }
  if (dumped.length > 0) return { dumped, unreadable };
  if (!salvage) throw notReadable(unreadable.map(({ database }) => database).join(', '));
  throw new DbkitError('data.corrupt', 'pg_dump can read none of these databases', {
    hint: 'what it says of each is in the log; the damaged data is as it was: keep it, and restore a backup: `dbkit backup list`',
  });
}

/** Nothing of it is damaged. */
const notReadable = (database: string, cause?: unknown): DbkitError =>
  new DbkitError('command.failed', `names in ${database} are not written in UTF-8, and dbkit cannot tell what a dump would keep`, {
    hint: 'rename them, or take a base backup, which holds everything: `dbkit backup create`',
    cause,
  });

interface OneDatabase {
  readonly name: string;
  readonly directory: string;
  readonly staging: string;
  readonly leaveOut: readonly string[];
  readonly excludeTableData: readonly string[];
  readonly isDamaged: boolean;
}

async function dumpDatabase(
  needs: DumpNeeds,
  tools: DumpTools,
  { name, directory, staging, leaveOut, excludeTableData, isDamaged }: OneDatabase,
  signal: AbortSignal,
): Promise<{ database: DumpedDatabase; measured: Measured }> {
  const session = await openSession(needs, name, signal);
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const [snapshot] = await session.query<{ id: string }>('SELECT pg_export_snapshot() AS id');
    const args = ['--format=directory', `--jobs=${availableParallelism()}`, `--snapshot=${snapshot!.id}`, '--compress=3', '--no-password'];
    for (const table of leaveOut) args.push(`--exclude-table=${table}`);
    for (const table of excludeTableData) args.push(`--exclude-table-data=${table}`);
    const archive = join(staging, directory);
    await tools.run('pg_dump', [...args, `--file=${archive}`], signal, { database: name });
    needs.system.reached('dump.database-dumped');
    const described = await describeDatabase(session, { isDamaged });
    const { tables, measured } = await measureTables(session, tools, { staging, directory }, signal);
    return { database: { ...described, directory, tables }, measured };
  } finally {
    await session.end();
  }
}

/** The tables that the archive defines, each with the rows that are in its file. */
async function measureTables(
  session: Connection,
  tools: DumpTools,
  { staging, directory }: { readonly staging: string; readonly directory: string },
  signal: AbortSignal,
): Promise<{ tables: DumpedTable[]; measured: Measured }> {
  const archived = await readTables(join(staging, directory), tools, signal);
  const measured = new Map<string, { sizeBytes: number; sha256: string }>();
  const tables = (await listRelations(session, 'r')).flatMap((table): DumpedTable[] => {
    const found = archived.get(table.oid);
    if (!found) return [];
    const { rows, file } = found;
    if (file) measured.set(`${directory}/${file.name}`, { sizeBytes: file.sizeBytes, sha256: file.sha256 });
    return [{ ...table, rows }];
  });
  return { tables, measured };
}

interface Sealing {
  readonly label: string;
  readonly staging: string;
  readonly contents: Pick<DumpManifest, 'server' | 'tool' | 'databases' | 'leftOut' | 'roles'>;
  readonly measured: Measured;
  readonly options: BackupOptions;
}

/** Hashes what pg_dump wrote, writes the manifest beside it, and makes both durable. */
async function seal(needs: DumpNeeds, { label, staging, contents, measured, options }: Sealing, signal: AbortSignal): Promise<DumpRecord> {
  const { system, owner } = needs;
  const createdAt = system.clock.now().toISOString();
  const tree = await listTree(fromText(staging), signal);
  const files: DumpManifest['files'] = [];
  for (const path of tree.files.map(toText).sort()) {
    await chmod(join(staging, path), 0o600);
    files.push({ path, ...(measured.get(path) ?? (await hashFile(Buffer.from(join(staging, path)), signal))) });
  }
  const manifest: DumpManifest = { schema: 'dbkit.dump-manifest/v1', createdAt, ...contents, files };
  const body = `${JSON.stringify(manifest, null, 1)}\n`;
  await system.files.write(join(staging, MANIFEST), body, { mode: 0o600, owner });
  await syncTree(fromText(staging), tree.directories);
  system.reached('dump.sealed');
  const tables = contents.databases.flatMap((database) => database.tables);
  const manifestSha256 = digestOf(body);
  return {
    schema: 'dbkit.dump/v1',
    label,
    engine: 'dump',
    kind: 'logical',
    state: 'good',
    createdAt,
    verifiedAt: null,
    provenAt: null,
    problem: null,
    pinned: options.pin ?? false,
    note: options.note ?? null,
    pgVersion: contents.server.major,
    systemIdentifier: contents.server.systemIdentifier,
    databases: contents.databases.map(({ name }) => name),
    tables: tables.length,
    rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, Buffer.byteLength(body)),
    files: files.length + 1,
    durationMs: 0,
    isPartial: isPartial(options),
    leftOut: contents.leftOut,
    manifestSha256,
    seal: await sealOf({ manifestSha256 }, needs),
  };
}

const isPartial = ({ databases, excludeTableData = [], salvage }: BackupOptions): boolean =>
  Array.isArray(databases) || excludeTableData.length > 0 || salvage !== undefined;

import { chmod, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { fromText, toText } from '../../formats/byte-path.ts';
import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { openAsSuperuser } from '../../instance/sessions.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { lowerPriority } from '../../machine/low-priority.ts';
import type { BackupOptions } from '../backup.ts';
import { hashFile } from '../copy-file.ts';
import { syncTree } from '../durable-tree.ts';
import { listTree } from '../list-tree.ts';
import type { RepositoryOf } from '../repository.ts';
import { countTables, describeDatabase } from './contents.ts';
import { type DumpedDatabase, type DumpManifest, digestOf, MANIFEST } from './manifest.ts';
import type { DumpRecord } from './record.ts';
import { listRoles } from './roles.ts';
import { type DumpTools, findTools } from './tools.ts';

export interface DumpNeeds {
  readonly config: Config;
  readonly system: System;
  readonly owner: Identity | undefined;
  readonly repository: RepositoryOf<DumpRecord>;
}

/** A session as the superuser. */
export const openSession = ({ config }: Pick<DumpNeeds, 'config'>, database: string, signal: AbortSignal): Promise<Connection> =>
  openAsSuperuser(config.postgresql, database, {}, signal);

/**
 * Dumps databases with pg_dump, in its directory format, and publishes them whole, or leaves nothing. Each database is one snapshot, in which
 * its tables are counted too. Rejects with `usage.invalid` for a database that there is not.
 */
export async function createDump(needs: DumpNeeds, options: BackupOptions, signal: AbortSignal): Promise<DumpRecord> {
  const { system, owner, repository } = needs;
  const begunMs = system.clock.monotonicMs();
  if (options.lowPriority) await lowerPriority(system, signal);
  const [first] = Array.isArray(options.databases) ? (options.databases as readonly string[]) : [];
  // There need not be a database `postgres`.
  const session = await openSession(needs, 'postgres', signal).catch((cause: unknown) => {
    if (first === undefined || sqlStateOf(cause) === undefined) throw cause;
    return openSession(needs, first, signal);
  });
  try {
    const server = await serverFacts(session);
    const tools = await findTools(server.major, needs, signal);
    const names = await chooseDatabases(session, options.databases);
    const label = await repository.freeLabel(signal);
    const staging = repository.stagingOf(label);
    await system.files.makeDirectory(staging, { mode: 0o700, owner });
    system.log.info('dump.started', `Dumping ${names.map(({ name }) => name).join(', ')} as ${label}.`, { label });
    try {
      const databases: DumpedDatabase[] = [];
      for (const { name, oid } of names) {
        const one = { name, directory: `database-${oid}`, staging, leaveOut: options.salvage?.leaveOut.get(name) ?? [] };
        try {
          databases.push(await dumpDatabase(needs, tools, one, signal));
        } catch (cause) {
          signal.throwIfAborted();
          if (!options.salvage || names.length === 1) throw cause;
          await rm(join(staging, one.directory), { recursive: true, force: true });
          options.salvage.skip(name, wordsOf(cause));
        }
      }
      if (databases.length === 0)
        throw new DbkitError('data.corrupt', 'pg_dump can read none of these databases', {
          hint: 'what it says of each is in the log; the damaged data is as it was: keep it, and restore a backup: `dbkit backup list`',
        });
      const roles = await listRoles(session, { withPasswords: options.rolePasswords ?? false });
      const contents = { server, tool: tools.version, databases, roles };
      const sealed = await seal(needs, { label, staging, contents, options }, signal);
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

/** Those that were named, or all; else every one that holds something of the user's. */
async function chooseDatabases(session: Connection, wanted: BackupOptions['databases']): Promise<{ name: string; oid: number }[]> {
  const all = await session.query<{ name: string; oid: number; usual: boolean }>(
    "SELECT datname AS name, oid::int4 AS oid, datname = 'postgres' AS usual FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND NOT datistemplate ORDER BY 1",
  );
  if (wanted === 'all') return all;
  const missing = wanted?.find((name) => !all.some((database) => database.name === name));
  if (missing !== undefined)
    throw new DbkitError('usage.invalid', `there is no database ${missing}`, {
      hint: `there are: ${all.map(({ name }) => name).join(', ')}`,
    });
  if (wanted) return all.filter(({ name }) => wanted.includes(name));
  const own = all.filter(({ usual }) => !usual);
  return own.length > 0 ? own : all;
}

async function dumpDatabase(
  needs: DumpNeeds,
  tools: DumpTools,
  { name, directory, staging, leaveOut }: { name: string; directory: string; staging: string; leaveOut: readonly string[] },
  signal: AbortSignal,
): Promise<DumpedDatabase> {
  const session = await openSession(needs, name, signal);
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const [snapshot] = await session.query<{ id: string }>('SELECT pg_export_snapshot() AS id');
    const args = ['--format=directory', `--jobs=${availableParallelism()}`, `--snapshot=${snapshot!.id}`, '--compress=3', '--no-password'];
    for (const table of leaveOut) args.push(`--exclude-table=${table}`);
    await tools.run('pg_dump', [...args, `--file=${join(staging, directory)}`], signal, { database: name });
    needs.system.reached('dump.database-dumped');
    return { ...(await describeDatabase(session)), directory, tables: await countTables(session, leaveOut) };
  } finally {
    await session.end();
  }
}

interface Sealing {
  readonly label: string;
  readonly staging: string;
  readonly contents: Pick<DumpManifest, 'server' | 'tool' | 'databases' | 'roles'>;
  readonly options: BackupOptions;
}

/** Hashes what pg_dump wrote, writes the manifest beside it, and makes both durable. */
async function seal(
  { system, owner }: DumpNeeds,
  { label, staging, contents, options }: Sealing,
  signal: AbortSignal,
): Promise<DumpRecord> {
  const createdAt = system.clock.now().toISOString();
  const tree = await listTree(fromText(staging), signal);
  const files: DumpManifest['files'] = [];
  for (const path of tree.files.map(toText).sort()) {
    await chmod(join(staging, path), 0o600);
    files.push({ path, ...(await hashFile(Buffer.from(join(staging, path)), signal)) });
  }
  const manifest: DumpManifest = { schema: 'dbkit.dump-manifest/v1', createdAt, ...contents, files };
  const body = `${JSON.stringify(manifest, null, 1)}\n`;
  await system.files.write(join(staging, MANIFEST), body, { mode: 0o600, owner });
  await syncTree(fromText(staging), tree.directories);
  system.reached('dump.sealed');
  const tables = contents.databases.flatMap((database) => database.tables);
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
    manifestSha256: digestOf(body),
  };
}

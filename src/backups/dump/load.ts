import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { makeLabel } from '../../kernel/labels.ts';
import type { LoadReport, LoadRequest } from '../backup.ts';
import { type DumpNeeds, openSession } from './create.ts';
import { type DumpedDatabase, type DumpManifest, readManifest } from './manifest.ts';
import type { DumpRecord } from './record.ts';
import { beginRestoring, type Dump, restoreBeside } from './scratch-database.ts';
import { findTools } from './tools.ts';
import { verifyFiles } from './verify.ts';

const OBJECT_IN_USE = '55006';
const SWAP_ATTEMPTS = 5;
const TERMINATE_EVERY_MS = 50;

/**
 * Brings one database back: under a temporary name, checked against the manifest, and only then in the place it is for. The database that was
 * there is kept as NAME_replaced_…. Rejects with `data.corrupt` when the dump is not whole, `file.exists` when `into` is taken.
 */
export async function loadDump(needs: DumpNeeds, record: DumpRecord, request: LoadRequest, signal: AbortSignal): Promise<LoadReport> {
  const { system, repository } = needs;
  const begunMs = system.clock.monotonicMs();
  const directory = repository.pathOf(record.label);
  const manifest = await verifyFiles(directory, record, signal);
  const database = databaseOf(manifest, request.database);
  const into = request.into ?? database.name;
  const session = await openSession(needs, 'postgres', signal);
  try {
    const tools = await findTools(manifest.server.major, needs, signal);
    await beginRestoring(session, needs.system, signal);
    const taken = await exists(session, into);
    if (taken && request.into !== undefined)
      throw new DbkitError('file.exists', `there is a database ${into} already`, { hint: 'name another with --into; nothing was changed' });
    system.log.info('dump.restoring', `restoring ${database.name} of ${record.label} beside what is there`, { label: record.label });
    const beside = await restoreBeside(needs, tools, session, { directory, manifest, database }, signal);
    system.reached('dump.checked');
    const replaced = taken ? `${into}_${makeLabel('replaced', system.clock.now())}` : null;
    await swap(needs, session, { beside, into, replaced }, signal);
    const rows = database.tables.reduce((sum, table) => sum + table.rows, 0);
    const durationMs = Math.round(system.clock.monotonicMs() - begunMs);
    return { label: record.label, database: database.name, into, replaced, tables: database.tables.length, rows, durationMs };
  } finally {
    await session.end();
  }
}

/** Restores every database of a dump beside what is there, counts, and drops it again: the proof that it can be restored. */
export async function testDump(needs: DumpNeeds, record: DumpRecord, signal: AbortSignal): Promise<void> {
  const directory = needs.repository.pathOf(record.label);
  const manifest = await readManifest(directory, record);
  const session = await openSession(needs, 'postgres', signal);
  try {
    const tools = await findTools(manifest.server.major, needs, signal);
    await beginRestoring(session, needs.system, signal);
    for (const database of manifest.databases) {
      const dump: Dump = { directory, manifest, database };
      const name = await restoreBeside(needs, tools, session, dump, signal);
      await session.query(`DROP DATABASE ${session.escapeIdentifier(name)} WITH (FORCE)`);
    }
  } finally {
    await session.end();
  }
}

/**
 * One database of a dump beside what is there, whole and counted, for as long as `work` takes. Rejects as `loadDump` does.
 */
export async function onScratchDatabase<T>(
  needs: DumpNeeds,
  record: DumpRecord,
  wanted: string | undefined,
  work: (scratch: { readonly name: string; readonly of: string }) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const directory = needs.repository.pathOf(record.label);
  const manifest = await verifyFiles(directory, record, signal);
  const database = databaseOf(manifest, wanted);
  const session = await openSession(needs, 'postgres', signal);
  try {
    const tools = await findTools(manifest.server.major, needs, signal);
    await beginRestoring(session, needs.system, signal);
    const name = await restoreBeside(needs, tools, session, { directory, manifest, database }, signal);
    try {
      return await work({ name, of: database.name });
    } finally {
      await session.query(`DROP DATABASE ${session.escapeIdentifier(name)} WITH (FORCE)`);
    }
  } finally {
    await session.end();
  }
}

function databaseOf({ databases }: DumpManifest, wanted: string | undefined): DumpedDatabase {
  const names = databases.map(({ name }) => name).join(', ');
  const found = wanted === undefined ? databases[0] : databases.find(({ name }) => name === wanted);
  if (!found) throw new DbkitError('usage.invalid', `the dump holds no database ${wanted}`, { hint: `it holds: ${names}` });
  if (wanted === undefined && databases.length > 1)
    throw new DbkitError('usage.invalid', 'which database of the dump?', { hint: `name one with --database: ${names}` });
  return found;
}

const exists = async (session: Connection, name: string): Promise<boolean> =>
  (await session.query('SELECT FROM pg_database WHERE datname = $1', [name])).length > 0;

/**
 * Both renames in one transaction: whoever connects meanwhile waits for its end, as ALTER DATABASE locks the name first, and a kill leaves
 * either all of it or nothing. It waits five seconds for the sessions that are there, which another session ends (dbcommands.c).
 */
async function swap(
  needs: DumpNeeds,
  session: Connection,
  { beside, into, replaced }: { beside: string; into: string; replaced: string | null },
  signal: AbortSignal,
): Promise<void> {
  const id = session.escapeIdentifier;
  if (replaced === null) {
    await session.query(`ALTER DATABASE ${id(beside)} RENAME TO ${id(into)}`);
    return;
  }
  for (let attempt = 1; ; attempt += 1) {
    const ending = endSessions(needs, into, signal);
    try {
      await session.query('BEGIN');
      await session.query(`ALTER DATABASE ${id(into)} RENAME TO ${id(replaced)}`);
      await session.query(`ALTER DATABASE ${id(beside)} RENAME TO ${id(into)}`);
      needs.system.reached('dump.swapping');
      await session.query('COMMIT');
      return;
    } catch (cause) {
      await session.query('ROLLBACK').catch(() => undefined);
      if (sqlStateOf(cause) !== OBJECT_IN_USE || attempt >= SWAP_ATTEMPTS) throw cause;
    } finally {
      await ending.stop();
    }
  }
}

/** Ends the sessions of a database again and again, from a session of its own, until it is stopped. */
function endSessions(needs: DumpNeeds, database: string, signal: AbortSignal): { stop(): Promise<void> } {
  const over = new AbortController();
  const work = (async () => {
    const session = await openSession(needs, 'postgres', signal);
    try {
      while (!over.signal.aborted) {
        await session.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database]);
        await needs.system.clock.sleep(TERMINATE_EVERY_MS, over.signal).catch(() => undefined);
      }
    } finally {
      await session.end();
    }
  })();
  return {
    stop: async () => {
      over.abort();
      await work.catch(() => undefined); // The renames tell whether it did its work.
    },
  };
}

import type { Connection } from '../../instance/connection.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { makeLabel } from '../../kernel/labels.ts';
import type { LoadRequest } from '../backup.ts';
import type { LoadReport } from '../load-dump.ts';
import type { Authority } from './archive.ts';
import type { DumpNeeds } from './create.ts';
import type { Dump } from './fill.ts';
import { openMaintenance, openSession, withLoader } from './loader.ts';
import { type DumpedDatabase, type DumpManifest, readManifest } from './manifest.ts';
import type { Missing } from './missing.ts';
import { findLate, type Late, leftOut, loadLate } from './privileges.ts';
import type { DumpRecord } from './record.ts';
import { dropRoles } from './roles.ts';
import { type Beside, beginRestoring, dropScratch, restoreBeside } from './scratch-database.ts';
import { isSealedHere } from './seal.ts';
import { replacedName, requireNoPrepared, swap } from './swap.ts';
import { type DumpTools, findTools } from './tools.ts';
import { verifyFiles } from './verify.ts';

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
  const dump: Dump = { directory, manifest, database, authority: await authorityOf(needs, record, request) };
  const into = request.into ?? database.name;
  return restoring(needs, manifest, signal, async (session, tools) => {
    const taken = await exists(session, into);
    if (taken && request.into !== undefined)
      throw new DbkitError('file.exists', `there is a database ${into} already`, { hint: 'name another with --into; nothing was changed' });
    if (taken && into === (await workingIn(session)))
      throw new DbkitError('recovery.refused', `the database ${into} cannot be replaced: dbkit works from sessions in it`, {
        hint: 'restore it beside what is there with --into NAME; nothing was changed',
      });
    await requireNoPrepared(session, into);
    system.log.info('dump.restoring', `restoring ${database.name} of ${record.label} beside what is there`, { label: record.label });
    return withLoader(
      needs,
      [],
      async (loader) => {
        const beside = await restoreBeside(needs, { tools, session, loader }, dump, signal, request.rewrite);
        system.reached('dump.checked');
        const replaced = taken ? await replacedName(session, into, makeLabel('replaced', system.clock.now())) : null;
        try {
          requireNothingWithheld(record, dump.authority, into === database.name ? beside.later : undefined);
          if (request.into === undefined || request.mustBeWhole) requireWhole(beside, request);
          await swap(needs, session, { beside: beside.name, into, replaced, madeRoles: dump.authority.madeRoles }, signal);
        } catch (cause) {
          await dropScratch(needs, session, beside.name, signal).catch(() => undefined); // Else the next restore does.
          await dropRoles(session, dump.authority.madeRoles).catch(() => undefined);
          throw cause;
        }
        const late = async (): Promise<Missing[]> => {
          if (into !== database.name) return request.mustBeWhole ? [] : leftOut(beside.later);
          const inside = await openSession(needs, into, signal);
          return loadLate({ needs, tools, loader, name: into, dump, session: inside }, beside.later, signal).finally(() => inside.end());
        };
        const missing = [...beside.missing, ...beside.short.map(asMissing), ...(await late())];
        const rows = database.tables.reduce((sum, table) => sum + table.rows, 0);
        const durationMs = Math.round(system.clock.monotonicMs() - begunMs);
        const { short } = beside;
        return {
          ...{ label: record.label, database: database.name, into, replaced },
          ...{ tables: database.tables.length, rows, missing, short, durationMs },
        };
      },
      signal,
    );
  });
}

/** Brings what `loadDump` left for the name that the database bears now. Rejects as it does. */
export async function loadLeftOut(needs: DumpNeeds, record: DumpRecord, name: string, signal: AbortSignal): Promise<Missing[]> {
  const directory = needs.repository.pathOf(record.label);
  const manifest = await readManifest(directory, record);
  const database = databaseOf(manifest, name);
  const dump: Dump = { directory, manifest, database, authority: await authorityOf(needs, record) };
  requireNothingWithheld(record, dump.authority);
  return restoring(needs, manifest, signal, (_session, tools) =>
    withLoader(
      needs,
      [],
      async (loader) => {
        const inside = await openSession(needs, name, signal);
        try {
          const filling = { needs, tools, loader, name, dump };
          return await loadLate({ ...filling, session: inside }, await findLate(inside, filling, signal), signal);
        } finally {
          await inside.end();
        }
      },
      signal,
    ),
  );
}

/** Restores every database of a dump beside what is there, counts, and drops it again: the proof that it can be restored. */
export async function testDump(
  needs: DumpNeeds,
  record: DumpRecord,
  request: Pick<LoadRequest, 'isTrusted'>,
  signal: AbortSignal,
): Promise<void> {
  const directory = needs.repository.pathOf(record.label);
  const manifest = await readManifest(directory, record);
  for (const database of manifest.databases) {
    const authority = await authorityOf(needs, record, request);
    await onScratch(needs, { directory, manifest, database, authority }, signal, async (beside) => {
      requireNothingWithheld(record, authority);
      requireWhole(beside, {});
      tell(needs, record.label, [...beside.missing, ...leftOut(beside.later)]);
    });
  }
}

/**
 * One database of a dump beside what is there, as whole as it can be had, for as long as `work` takes. What a stranger's dump lacks then is told; one
 * that would give its objects to a mighty role is refused. Rejects as `loadDump` does.
 */
export async function onScratchDatabase<T>(
  needs: DumpNeeds,
  record: DumpRecord,
  request: Pick<LoadRequest, 'database' | 'isTrusted'>,
  work: (scratch: { readonly name: string; readonly of: string }) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const directory = needs.repository.pathOf(record.label);
  const manifest = await verifyFiles(directory, record, signal);
  const database = databaseOf(manifest, request.database);
  const authority = await authorityOf(needs, record, request);
  return onScratch(needs, { directory, manifest, database, authority }, signal, (beside) => {
    if (beside.isWithheld) requireNothingWithheld(record, authority);
    if (!authority.isTrusted) tell(needs, record.label, beside.missing);
    return work({ name: beside.name, of: database.name });
  });
}

const onScratch = <T>(needs: DumpNeeds, dump: Dump, signal: AbortSignal, work: (beside: Beside) => Promise<T>): Promise<T> =>
  restoring(needs, dump.manifest, signal, (session, tools) =>
    withLoader(
      needs,
      [],
      async (loader) => {
        const beside = await restoreBeside(needs, { tools, session, loader }, dump, signal);
        try {
          return await work(beside);
        } finally {
          await dropScratch(needs, session, beside.name, signal);
          await dropRoles(session, dump.authority.madeRoles);
        }
      },
      signal,
    ),
  );

/** The only restore of dumps on this server, for as long as `work` takes. */
async function restoring<T>(
  needs: DumpNeeds,
  { server }: DumpManifest,
  signal: AbortSignal,
  work: (session: Connection, tools: DumpTools) => Promise<T>,
): Promise<T> {
  const session = await openMaintenance(needs, signal);
  try {
    const tools = await findTools(server.major, needs, signal);
    await beginRestoring(needs, session, signal);
    return await work(session, tools);
  } finally {
    await session.end();
  }
}

/** A dump that this dbkit made has every right; a stranger's those that somebody who answers for it gives it. */
const authorityOf = async (needs: DumpNeeds, record: DumpRecord, { isTrusted = false }: Partial<LoadRequest> = {}): Promise<Authority> => ({
  isTrusted: isTrusted || (await isSealedHere(record, needs)),
  withheld: [],
  madeRoles: [],
});

/** Where sessions of dbkit's are (openMaintenance): in postgres, and in template1 where that is gone or closed. */
const workingIn = async (session: Connection): Promise<string> =>
  (await session.query<{ name: string }>('SELECT current_database() AS name'))[0]!.name;

const WITHHELD_SHOWN = 5;

/** Nothing of a stranger's runs as the superuser, and without it the database is not what was dumped. Rejects with `recovery.refused`. */
function requireNothingWithheld({ label }: DumpRecord, { isTrusted, withheld }: Authority, later?: Late): void {
  const ofLater = isTrusted || later === undefined ? [] : [...later.rows, ...later.subscriptions];
  const all = [...withheld, ...ofLater.map((entry) => `${entry.type.toLowerCase()} ${entry.label}`)];
  if (all.length === 0) return;
  const more = all.length > WITHHELD_SHOWN ? ` and ${all.length - WITHHELD_SHOWN} more` : '';
  throw new DbkitError(
    'recovery.refused',
    `${label} was not made by this dbkit, and what is in it asks for rights of a superuser: ${all.slice(0, WITHHELD_SHOWN).join(', ')}${more}`,
    { hint: `if you know who made it, add --trust to the command; nothing was changed` },
  );
}

const asMissing = (what: string): Missing => ({ what, because: 'the rows of the dump could not all be loaded' });

/** Rows are never replaced by fewer. Rejects with `data.corrupt` and the first few tables. */
function requireWhole({ short, missing }: Beside, { into }: Pick<Partial<LoadRequest>, 'into'>): void {
  if (short.length === 0) return;
  const why = missing.find(({ what }) => what.startsWith('table data '))?.because;
  throw new DbkitError(
    'data.corrupt',
    `what was restored is not what was dumped: ${short.slice(0, 5).join(', ')}${why ? ` (${why})` : ''}`,
    {
      hint:
        into === undefined
          ? 'nothing was changed; `--into NAME` restores what can be loaded beside what is there, `dbkit backup list` shows other dumps'
          : 'nothing was changed',
    },
  );
}

function tell({ system }: DumpNeeds, label: string, missing: readonly Missing[]): void {
  for (const { what, because } of missing) system.log.warn('dump.missing', `restored differently: ${what}: ${because}`, { label, what });
}

function databaseOf({ databases }: DumpManifest, wanted: string | undefined): DumpedDatabase {
  const names = databases.map(({ name }) => name).join(', ');
  const found = wanted === undefined ? databases[0] : databases.find(({ name }) => name === wanted);
  if (!found) throw new DbkitError('usage.invalid', `the dump holds no database ${wanted}`, { hint: `it holds: ${names}` });
  if (wanted === undefined && databases.length > 1)
    throw new DbkitError('usage.invalid', 'the dump holds several databases, and none is named', {
      hint: `name one with --database: ${names}`,
    });
  return found;
}

const exists = async (session: Connection, name: string): Promise<boolean> =>
  (await session.query('SELECT FROM pg_database WHERE datname = $1', [name])).length > 0;

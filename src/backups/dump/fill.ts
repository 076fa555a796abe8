import { availableParallelism } from 'node:os';
import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { wordsOf } from '../../kernel/errors.ts';
import { type Archive, type Authority, type Failures, withArchive } from './archive.ts';
import { listRelations } from './contents.ts';
import { type Loader, type LoaderNeeds, openSession } from './loader.ts';
import { makeExtensions } from './make-extensions.ts';
import type { DumpedDatabase, DumpedTable, DumpManifest } from './manifest.ts';
import { giveFunctionsAPath, usualPath, withoutChecks } from './mend-load.ts';
import type { Missing } from './missing.ts';
import { aroundRestore } from './special-extensions.ts';
import type { TocEntry } from './toc.ts';
import type { DumpTools } from './tools.ts';

/** One database of a dump, and where its archive lies. */
export interface Dump {
  readonly directory: string;
  readonly manifest: DumpManifest;
  readonly database: DumpedDatabase;
  readonly authority: Authority;
}

export interface Filling {
  readonly needs: LoaderNeeds;
  readonly tools: DumpTools;
  readonly loader: Loader;
  /** The database to fill. */
  readonly name: string;
  readonly dump: Dump;
}

export interface Filled {
  readonly missing: readonly Missing[];
  /** Tables that are not there, or lack rows; each in words. */
  readonly short: readonly string[];
  /** Extensions that live in the database of one name only. */
  readonly late: readonly string[];
}

const JOBS_MAX = 8;

/** The archive of the one database that is filled. */
export const openingOf = (
  { tools, loader, name, dump: { directory, database, authority } }: Filling,
  how: { readonly withTablespaces: boolean; readonly jobs: number },
) => ({ directory: `${directory}/${database.directory}`, database: name, tools, loader, authority, ...how });

/**
 * Loads everything of an archive that can be loaded, as the loader; only what superusers alone may make is the superuser's work. Whatever fails
 * is tried again with what it may lack, then told. The rows are counted by the loader, before policies hide any.
 */
export async function fill(filling: Filling, signal: AbortSignal): Promise<Filled> {
  const { needs, loader, name, dump } = filling;
  const { database } = dump;
  const session = await openSession(needs, name, signal);
  const own = await loader.session(name);
  try {
    const withTablespaces = await mayUseTablespaces(session, loader, database.tablespaces);
    const jobs = Math.min(availableParallelism(), JOBS_MAX);
    return await withArchive(
      openingOf(filling, { withTablespaces, jobs }),
      needs,
      (archive) => load({ ...filling, archive, session, own }),
      signal,
    );
  } finally {
    await own.end();
    await session.end();
  }
}

interface Loading extends Filling {
  readonly archive: Archive;
  /** As the superuser, and as the loader. */
  readonly session: Connection;
  readonly own: Connection;
}

async function load(loading: Loading): Promise<Filled> {
  const { archive, session, own, dump, needs, loader } = loading;
  const { database, manifest, authority } = dump;
  const { order } = archive;
  const missing: Missing[] = [];
  const tell = (entries: readonly TocEntry[], failed: Failures): void =>
    void missing.push(...entries.flatMap((entry) => (failed.has(entry.id) ? [missingOf(entry, failed.get(entry.id)!)] : [])));
  let takeBack: (() => Promise<void>) | undefined;
  const withPaths = async (entries: readonly TocEntry[], failed: Failures): Promise<Failures> => {
    if (failed.size === 0) return failed;
    takeBack ??= await giveFunctionsAPath(session, usualPath(manifest, database));
    return archive.run(chosen(entries, failed), 'loader');
  };

  // Before any SQL of the archive: nothing of it can wait in a schema for the script of an extension.
  const { extensions, late, refused } = await makeExtensions(session, loader, database.extensions, authority);
  missing.push(...refused);
  const around = aroundRestore(extensions, session.escapeIdentifier);
  if (!authority.isTrusted) await session.query(`ALTER SCHEMA public OWNER TO ${session.escapeIdentifier(loader.name)}`);
  const schemas = await archive.run(order.schemas, 'loader');
  const isMade = ({ label }: TocEntry): boolean => extensions.some(({ schema }) => label.startsWith(`- ${schema} `));
  tell(order.schemas, new Map([...schemas].filter(([id]) => !order.schemas.some((entry) => entry.id === id && isMade(entry)))));
  for (const statement of around.before) await session.query(statement);
  tell(order.before, await withPaths(order.before, await loadDefinitions(loading)));

  const ofExtensions = new Set(database.extensions.flatMap(({ tables }) => tables));
  const ofLate = new Set(database.extensions.filter((one) => late.includes(one.name)).flatMap(({ tables }) => tables));
  const kept = order.data.filter(({ oid }) => ofExtensions.has(oid) && !ofLate.has(oid));
  tell(kept, await archive.run(kept, 'superuser'));
  const rows = order.data.filter(({ oid }) => !ofExtensions.has(oid));
  const sizes = new Map(manifest.files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  const sizeOf = ({ id }: TocEntry): number => sizes.get(`${database.directory}/${id}.dat.gz`) ?? 0;
  let failed = await withPaths(rows, await archive.runTogether(rows, sizeOf));
  const without = database.tables.filter((table) => rows.some(({ id, oid }) => failed.has(id) && oid === table.oid));
  if (without.length > 0)
    missing.push(
      ...(await withoutChecks(own, without, async () => {
        failed = await archive.run(chosen(rows, failed), 'loader');
      })),
    );
  tell(rows, failed);
  needs.system.reached('dump.loaded');
  const short = await countRows(own, database.tables);

  tell(order.indexes, await withPaths(order.indexes, await archive.runTogether(order.indexes, () => 1)));
  const views = order.after.filter(({ type }) => type === 'MATERIALIZED VIEW DATA'); // Before policies hide rows from them.
  const viewsFailed = await withPaths(views, await archive.run(views, 'loader'));
  const others = order.after.filter(({ type }) => type !== 'MATERIALIZED VIEW DATA');
  tell(others, await withPaths(others, await archive.run(others, 'loader')));
  tell(views, await withPaths(views, viewsFailed)); // Views that rules make are there only now.
  await takeBack?.();
  if (!authority.isTrusted) await strangersRights(archive, authority, tell);
  for (const statement of around.after) await session.query(statement);
  const objects = await session.query<{ count: string }>('SELECT count(*) AS count FROM pg_catalog.pg_largeobject_metadata');
  const found = Number(objects[0]!.count);
  if (found !== database.largeObjects) short.push(`${found} large objects came back instead of ${database.largeObjects}`);
  return { missing, short, late };
}

const chosen = (entries: readonly TocEntry[], failed: Failures): TocEntry[] => entries.filter(({ id }) => failed.has(id));
const missingOf = ({ type, label }: TocEntry, because: string): Missing => ({ what: `${type.toLowerCase()} ${label}`, because });

/** Only a superuser may make these, and none of them runs the user's code while it is made; comments are text. */
const superusersWork: ReadonlySet<string> = new Set([
  'ACCESS METHOD',
  'CAST',
  'COMMENT',
  'FOREIGN DATA WRAPPER',
  'PROCEDURAL LANGUAGE',
  'SECURITY LABEL',
  'SERVER',
  'TEXT SEARCH PARSER',
  'TEXT SEARCH TEMPLATE',
  'TRANSFORM',
  'USER MAPPING',
]);
/** Of these only what belonged to a superuser. */
const superusersOwn: ReadonlySet<string> = new Set([
  'AGGREGATE',
  'CONVERSION',
  'FUNCTION',
  'OPERATOR',
  'OPERATOR CLASS',
  'OPERATOR FAMILY',
  'PROCEDURE',
  'SHELL TYPE',
  'TYPE',
]);

/** Definitions, as the loader; what it may not make is the superuser's, and what needs that is the loader's again. */
async function loadDefinitions({ archive, session, loader, dump }: Loading): Promise<Failures> {
  const { before } = archive.order;
  const failed = await archive.run(before, 'loader');
  const { database, manifest } = dump;
  const owners = new Map(database.owners.map(({ classId, oid, owner }) => [`${classId} ${oid}`, owner]));
  const isSuperuser = (role: string): boolean => manifest.roles.some(({ name, superuser }) => superuser && name === role);
  const mayBeMade = ({ type, classId, oid }: TocEntry): boolean =>
    superusersWork.has(type) || (superusersOwn.has(type) && isSuperuser(owners.get(`${classId} ${oid}`) ?? database.owner));
  const privileged = chosen(before, failed).filter(mayBeMade);
  if (privileged.length === 0) return failed;
  const refused = await archive.run(privileged, 'superuser');
  const id = session.escapeIdentifier;
  for (const { name } of await session.query<{ name: string }>('SELECT srvname AS name FROM pg_catalog.pg_foreign_server'))
    await session.query(`GRANT USAGE ON FOREIGN SERVER ${id(name)} TO ${id(loader.name)}`);
  const rest = chosen(before, failed).filter((entry) => !mayBeMade(entry));
  return new Map([...refused, ...(await archive.run(rest, 'loader'))]);
}

/**
 * Privileges of a stranger's archive, while everything belongs to the loader: it gives them with its own rights, and they change hands with what they
 * are on (aclnewowner, acl.c). What it may not give, and what acts by itself, is withheld.
 */
async function strangersRights(
  { order, run }: Archive,
  { withheld }: Authority,
  tell: (entries: readonly TocEntry[], failed: Failures) => void,
): Promise<void> {
  const ungiven = await run(order.privileges, 'loader');
  withheld.push(...chosen(order.privileges, ungiven).map(({ type, label }) => `${type.toLowerCase()} ${label}`));
  tell(order.privileges, ungiven);
  tell(order.last, await run(order.last, 'superuser'));
}

/** True when every tablespace is here, and the loader may put tables there. */
async function mayUseTablespaces(session: Connection, loader: Loader, wanted: readonly string[]): Promise<boolean> {
  const id = session.escapeIdentifier;
  const found = await session.query<{ name: string }>('SELECT spcname AS name FROM pg_catalog.pg_tablespace WHERE spcname = ANY ($1)', [
    wanted,
  ]);
  if (found.length < wanted.length) return false;
  for (const { name } of found) await session.query(`GRANT CREATE ON TABLESPACE ${id(name)} TO ${id(loader.name)}`);
  return true;
}

/** By the loader, one statement at a time: whatever the user's index expressions do while they are planned, they do with its rights. */
async function countRows(own: Connection, wanted: readonly DumpedTable[]): Promise<string[]> {
  const id = own.escapeIdentifier;
  const there = new Set((await listRelations(own, 'r')).map(({ schema, name }) => `${schema}\0${name}`));
  const short: string[] = [];
  for (const { schema, name, rows } of wanted) {
    if (!there.has(`${schema}\0${name}`)) short.push(`${schema}.${name} is missing`);
    else {
      const found = await own
        .query<{ rows: string }>(`SELECT count(*) AS rows FROM ONLY ${id(schema)}.${id(name)}`)
        .catch((cause: unknown) => {
          if (sqlStateOf(cause) === undefined) throw cause;
          return [{ rows: `not countable (${wordsOf(cause)})` }];
        });
      if (found[0]!.rows !== String(rows)) short.push(`${schema}.${name} has ${found[0]!.rows} rows instead of ${rows}`);
    }
  }
  return short;
}

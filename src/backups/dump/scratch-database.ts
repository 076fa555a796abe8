import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import { makeLabel } from '../../kernel/labels.ts';
import type { LoadRequest } from '../backup.ts';
import type { DumpNeeds } from './create.ts';
import { type Dump, type Filled, fill } from './fill.ts';
import { type Loader, openSession, type ServerNeeds } from './loader.ts';
import { IS_LEFT, TEMPORARY } from './own-names.ts';
import { giveBack } from './owners.ts';
import { type Late, loadPrivileges } from './privileges.ts';
import { setProperties } from './properties.ts';
import { createMissingRoles, dropLeftRoles, dropRoles } from './roles.ts';
import { strangeOwners } from './strange-owners.ts';
import type { DumpTools } from './tools.ts';

export const temporaryName = ({ system }: Pick<ServerNeeds, 'system'>): string =>
  makeLabel('replaced', system.clock.now()).replace('replaced_', TEMPORARY);

/** Any number will do, as long as nobody else's is the same: 'dbkit' in ASCII. */
const ADVISORY_LOCK = 0x64626b6974;
const PATIENCE_MS = 60_000;

/**
 * Makes this session the only one of the server that restores dumps, until it ends, and drops what killed restores left: their databases bear
 * a temporary name until they are whole. Rejects with `lock.held` when another restore takes longer than a minute.
 */
export async function beginRestoring(needs: ServerNeeds, session: Connection, signal: AbortSignal): Promise<void> {
  const { clock, log } = needs.system;
  const deadlineMs = clock.monotonicMs() + PATIENCE_MS;
  const isOurs = async (): Promise<boolean> =>
    (await session.query<{ ours: boolean }>(`SELECT pg_try_advisory_lock(${ADVISORY_LOCK}) AS ours`))[0]!.ours;
  while (!(await isOurs())) {
    if (clock.monotonicMs() >= deadlineMs)
      throw new DbkitError('lock.held', 'another restore of a dump, or work on a snapshot, is running', {
        hint: 'nothing was changed; try again when it has ended',
      });
    await clock.sleep(100, signal);
  }
  const left = await session.query<{ name: string }>(`SELECT datname AS name FROM pg_database WHERE ${IS_LEFT}`);
  for (const { name } of left)
    await dropScratch(needs, session, name, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      log.warn('dump.left', `the database ${name} of an interrupted restore could not be dropped: ${wordsOf(cause)}`);
    });
  await dropLeftRoles(session);
}

/**
 * Drops a scratch database whatever keeps it: it is no template any more, its prepared transactions are rolled back, and subscriptions let go of
 * slots that are not theirs to drop (dbcommands.c, dropdb).
 */
export async function dropScratch(needs: ServerNeeds, session: Connection, name: string, signal: AbortSignal): Promise<void> {
  const id = session.escapeIdentifier;
  const drop = (): Promise<unknown> => session.query(`DROP DATABASE IF EXISTS ${id(name)} WITH (FORCE)`);
  try {
    await drop();
  } catch (cause) {
    if (sqlStateOf(cause) === undefined) throw cause;
    await session.query(`ALTER DATABASE ${id(name)} WITH IS_TEMPLATE false ALLOW_CONNECTIONS true CONNECTION LIMIT -1`);
    const inside = await openSession(needs, name, signal);
    try {
      const prepared = await inside.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()');
      for (const { gid } of prepared) await inside.query(`ROLLBACK PREPARED ${inside.escapeLiteral(gid)}`);
      const subscriptions = await inside.query<{ name: string }>(
        'SELECT subname AS name FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())',
      );
      for (const subscription of subscriptions) {
        await inside.query(`ALTER SUBSCRIPTION ${id(subscription.name)} DISABLE`);
        await inside.query(`ALTER SUBSCRIPTION ${id(subscription.name)} SET (slot_name = NONE)`);
        await inside.query(`DROP SUBSCRIPTION ${id(subscription.name)}`);
      }
    } finally {
      await inside.end();
    }
    await drop();
  }
}

const nothingLater: Late = { extensions: [], rows: [], subscriptions: [] };

/** A database of a dump under its temporary name. */
export interface Beside extends Filled {
  readonly name: string;
  /** Everything is still the loader's: the dump, which nobody answers for, would give objects to a mighty role. */
  readonly isWithheld: boolean;
  /** Objects that can be there only when the database bears its own name. */
  readonly later: Late;
}

/**
 * Restores one database of a dump under a new, temporary name: loaded and counted by `loader`, then everything given to its owners. Whatever
 * fails as a whole drops it again; what fails by itself is told. With `rewrite` nobody but the loader may connect until it has ended.
 */
export async function restoreBeside(
  needs: DumpNeeds,
  { tools, session, loader }: { readonly tools: DumpTools; readonly session: Connection; readonly loader: Loader },
  dump: Dump,
  signal: AbortSignal,
  rewrite?: LoadRequest['rewrite'],
): Promise<Beside> {
  const name = temporaryName(needs);
  const id = session.escapeIdentifier;
  await createEmpty(needs, session, { name, owner: loader.name }, dump);
  try {
    if (rewrite) await session.query(`REVOKE ALL ON DATABASE ${id(name)} FROM PUBLIC`);
    const filled = await fill({ needs, tools, loader, name, dump }, signal);
    const inside = await openSession(needs, name, signal);
    try {
      const { owner, owners: others } = dump.database;
      const strange = await strangeOwners(inside, dump.database, dump.authority);
      if (strange.length > 0) {
        const missing = [...filled.missing, ...strange];
        return { ...filled, name, isWithheld: true, later: nothingLater, missing };
      }
      const rewritten = (await rewrite?.(name, loader)) ?? [];
      const ownerless = await giveBack(inside, { loader: loader.name, owner, others });
      const { missing, later } = await loadPrivileges({ needs, tools, loader, name, dump }, filled.late, signal);
      await inside.query('ANALYZE').catch((cause: unknown) => {
        if (sqlStateOf(cause) === undefined) throw cause; // An index's function that needs a search_path: autovacuum does it later.
      });
      const refused = await setProperties(session, name, dump.database, { loader: loader.name, owner });
      if (rewrite && dump.database.privileges === null) await session.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${id(name)} TO PUBLIC`); // The default.
      const unset = refused.map(({ statement, because }) => ({ what: `setting \`${statement}\``, because }));
      return { ...filled, name, isWithheld: false, later, missing: [...filled.missing, ...rewritten, ...ownerless, ...missing, ...unset] };
    } finally {
      await inside.end();
    }
  } catch (cause) {
    await dropScratch(needs, session, name, signal).catch(() => undefined); // Else the next one does.
    await dropRoles(session, dump.authority.madeRoles).catch(() => undefined);
    throw cause;
  }
}

/** How CREATE DATABASE names a locale of each provider (from 15 and 17 on). */
const localeProviders = {
  c: 'LOCALE_PROVIDER libc LOCALE',
  i: 'LOCALE_PROVIDER icu ICU_LOCALE',
  b: 'LOCALE_PROVIDER builtin BUILTIN_LOCALE',
} as const;

async function createEmpty(
  { system }: DumpNeeds,
  session: Connection,
  { name, owner }: { readonly name: string; readonly owner: string },
  { manifest, database, authority }: Dump,
): Promise<void> {
  const [id, text] = [session.escapeIdentifier, session.escapeLiteral];
  const left = await createMissingRoles(session, manifest, database, authority);
  if (left.length > 0)
    system.log.warn(
      'roles.left',
      `a restore grants nothing on objects that were there before; to grant what these roles had, run: ${left.join(' ')}`,
    );
  const { encoding, collate, ctype, locale, tablespace } = database;
  const provided = locale.name === null ? '' : ` ${localeProviders[locale.provider]} ${text(locale.name)}`;
  const isThere = (await session.query('SELECT FROM pg_tablespace WHERE spcname = $1', [tablespace])).length > 0;
  const place = tablespace !== null && isThere ? ` TABLESPACE ${id(tablespace)}` : '';
  await session.query(
    `CREATE DATABASE ${id(name)} OWNER ${id(owner)} TEMPLATE template0 ENCODING ${text(encoding)} LC_COLLATE ${text(collate)} LC_CTYPE ${text(ctype)}${provided}${place}`,
  );
}

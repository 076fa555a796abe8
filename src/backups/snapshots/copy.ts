import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { openMaintenance, type ServerNeeds } from '../dump/loader.ts';
import type { DatabaseProperties } from '../dump/manifest.ts';
import { setProperties } from '../dump/properties.ts';
import { beginRestoring, dropScratch, temporaryName } from '../dump/scratch-database.ts';
import { withoutSessions } from '../dump/swap.ts';

/** From here on CREATE DATABASE would write every page to the WAL unless it is told to copy files (CREATE DATABASE, "STRATEGY"). */
const STRATEGY_MAJOR = 15;
/** From here on the server lets the file system share the blocks of both, where that can (file_copy_method). */
const CLONE_MAJOR = 18;
/** The words of a file system that cannot, after copy_file_range(2), have no SQLSTATE of their own (errcode_for_file_access in elog.c). */
const CANNOT_CLONE = new Set(['XX000', '0A000', '22023', '42704']);

/** A session that is the only one to make or swap databases for dbkit, for as long as `work` takes. */
export async function alone<T>(needs: ServerNeeds, work: (session: Connection) => Promise<T>, signal: AbortSignal): Promise<T> {
  const session = await openMaintenance(needs, signal);
  try {
    await beginRestoring(needs, session, signal);
    return await work(session);
  } finally {
    await session.end();
  }
}

/**
 * Copies the files of a database under a temporary name, hands it to `work`, which renames it, and drops it again when that fails. Whoever connects to
 * the database meanwhile waits. What a kill leaves bears the temporary name, and the next one drops it.
 */
export async function withCopy(
  needs: ServerNeeds,
  session: Connection,
  source: string,
  work: (copy: string) => Promise<number>,
  signal: AbortSignal,
): Promise<{ readonly endedSessions: number }> {
  const id = session.escapeIdentifier;
  const copy = temporaryName(needs);
  const [server] = await session.query<{ number: string }>("SELECT current_setting('server_version_num') AS number");
  const isSince = (major: number): boolean => Number(server!.number) >= major * 10_000;
  const statement = `CREATE DATABASE ${id(copy)} TEMPLATE ${id(source)}${isSince(STRATEGY_MAJOR) ? ' STRATEGY = FILE_COPY' : ''}`;
  let clones = isSince(CLONE_MAJOR);
  const create = async (): Promise<void> => {
    if (clones) {
      try {
        await session.query('SET file_copy_method = clone');
        await session.query(statement);
        return;
      } catch (cause) {
        if (!CANNOT_CLONE.has(sqlStateOf(cause) ?? '')) throw cause;
        clones = false; // The server has removed what it had made of the copy.
        await session.query('RESET file_copy_method');
      }
    }
    await session.query(statement);
  };
  const ended = await withoutSessions(needs, session, source, create, signal);
  try {
    needs.system.reached('snapshot.copied');
    return { endedSessions: ended + (await work(copy)) };
  } catch (cause) {
    await dropScratch(needs, session, copy, signal).catch(() => undefined); // Else the next one does.
    throw cause;
  }
}

/** A property of a database that could not be given again. */
export interface Ungiven {
  readonly what: string;
  readonly because: string;
}

/** Gives a copy what its database had. Roles that are gone by now are told, and get nothing. */
export async function giveProperties(session: Connection, copy: string, properties: DatabaseProperties): Promise<readonly Ungiven[]> {
  const [self] = await session.query<{ name: string }>('SELECT current_user AS name');
  const there = new Set((await session.query<{ name: string }>('SELECT rolname AS name FROM pg_roles')).map(({ name }) => name));
  const isThere = (role: string): boolean => role === '' || there.has(role);
  const { owner, roleSettings, privileges, ...others } = properties;
  const gone = [
    ...(isThere(owner) ? [] : [{ what: `owner ${owner}`, because: `the role is gone; the database belongs to ${self!.name}` }]),
    ...roleSettings.flatMap(({ role, name }) =>
      isThere(role) ? [] : [{ what: `setting ${name} of ${role}`, because: 'the role is gone' }],
    ),
    ...(privileges ?? []).flatMap(({ grantee, privilege }) =>
      isThere(grantee) ? [] : [{ what: `privilege ${privilege} of ${grantee}`, because: 'the role is gone' }],
    ),
  ];
  const given = {
    ...others,
    roleSettings: roleSettings.filter(({ role }) => isThere(role)),
    privileges: privileges?.filter(({ grantee }) => isThere(grantee)) ?? null,
  };
  const refused = await setProperties(session, copy, given, { loader: undefined, owner: isThere(owner) ? owner : self!.name });
  return [...gone, ...refused.map(({ statement, because }) => ({ what: `setting \`${statement}\``, because }))];
}

import { randomBytes } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import type { Connection } from '../../instance/connection.ts';
import { scramVerifier } from '../../instance/server/application.ts';
import { openAsRole, openAsSuperuser, openForDatabases, wayTo } from '../../instance/sessions.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { IS_LOADER, LOADER_PREFIX } from './own-names.ts';
import type { ToolTarget } from './tools.ts';

/**
 * A role of dbkit's own that rows are loaded as. Checks, generated columns, index expressions and casts run the user's functions with the rights
 * of whoever loads: as superuser they could make themselves superuser, and SET ROLE would not hold them (RESET ROLE ends it). This role is
 * nobody's, owns what it makes until that is given to its owner, and is gone afterwards.
 */
export interface Loader {
  readonly name: string;
  /** Where and as whom a tool reaches a database. Rejects with `service.unready` when pg_hba.conf lets it in nowhere. */
  target(database: string): Promise<ToolTarget>;
  session(database: string): Promise<Connection>;
}

export interface LoaderNeeds {
  readonly config: Config;
  readonly system: System;
  readonly owner: Identity | undefined;
}

/** With the role's own number an advisory lock: whoever cleans up sees that it is in use. 'load' in ASCII. */
const LOCK_CLASS = 0x6c6f6164;
const VALID_MS = 7 * 86_400_000;

/** For work on databases as the superuser alone. */
export type ServerNeeds = Pick<LoaderNeeds, 'config' | 'system'>;

/** A session as the superuser. */
export const openSession = ({ config }: Pick<LoaderNeeds, 'config'>, database: string, signal: AbortSignal): Promise<Connection> =>
  openAsSuperuser(config.postgresql, database, {}, signal);

/** Where the sessions are that make, rename and drop databases: their locks are of that database, so all of them are in the same one. */
export const openMaintenance = ({ config }: Pick<LoaderNeeds, 'config'>, signal: AbortSignal): Promise<Connection> =>
  openForDatabases(config.postgresql, {}, signal);

/**
 * Makes such a role for as long as `work` takes, a member of `memberOf`; its password is one that nobody learns. Roles that killed runs left
 * are removed first, and what still is theirs goes to the owner of its database.
 */
export async function withLoader<T>(
  needs: LoaderNeeds,
  memberOf: readonly string[],
  work: (loader: Loader) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { clock, log } = needs.system;
  const session = await openMaintenance(needs, signal);
  try {
    await removeLeftRoles(needs, session, signal);
    const name = `${LOADER_PREFIX}${randomBytes(8).toString('hex')}`;
    const password = randomBytes(24).toString('hex');
    const id = session.escapeIdentifier;
    const until = new Date(clock.now().getTime() + VALID_MS).toISOString();
    await session.query('SELECT pg_advisory_lock($1, hashtext($2))', [LOCK_CLASS, name]);
    await session.query(
      `CREATE ROLE ${id(name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD ${session.escapeLiteral(scramVerifier(password))} VALID UNTIL '${until}'`,
    );
    try {
      await session.query(`ALTER ROLE ${id(name)} SET lc_messages = 'C'`); // Its words are read: they tell a full disk from a dump that does not load.
      for (const role of memberOf) await session.query(`GRANT ${id(role)} TO ${id(name)}`);
      return await work(loaderOf(needs, { name, password }, signal));
    } finally {
      await removeRole(needs, session, name, signal).catch((cause: unknown) =>
        log.warn('loader.left', `the role ${name} could not be dropped; the next restore drops it: ${wordsOf(cause)}`),
      );
    }
  } finally {
    await session.end();
  }
}

function loaderOf(
  { config }: LoaderNeeds,
  { name, password }: { readonly name: string; readonly password: string },
  signal: AbortSignal,
): Loader {
  const { socketDir, connectionOnly } = config.postgresql;
  let host: string | undefined;
  const open = async (database: string): Promise<Connection> => {
    let refused: unknown;
    for (const candidate of host === undefined ? (connectionOnly ? [socketDir] : [socketDir, '127.0.0.1', '::1']) : [host]) {
      try {
        const target = { ...wayTo(config.postgresql), socketDir: candidate, user: name, database, password };
        const session = await openAsRole(target, { readOnlyDefault: 'off' }, signal);
        host = candidate;
        return session;
      } catch (cause) {
        signal.throwIfAborted();
        refused ??= cause;
      }
    }
    throw new DbkitError('service.unready', `rows are loaded by a role without privileges, and the server does not let that role connect`, {
      hint: 'pg_hba.conf needs a line that lets roles with a password in, like `host all all 127.0.0.1/32 scram-sha-256`; nothing was changed',
      cause: refused,
    });
  };
  return {
    name,
    session: open,
    async target(database) {
      if (host === undefined) await (await open(database)).end();
      return { database, socketDir: host, role: { name, password } };
    },
  };
}

async function removeLeftRoles(needs: LoaderNeeds, session: Connection, signal: AbortSignal): Promise<void> {
  const left = await session.query<{ name: string }>(
    `SELECT rolname AS name FROM pg_roles WHERE ${IS_LOADER} AND pg_try_advisory_lock(${LOCK_CLASS}, hashtext(rolname))`,
  );
  for (const { name } of left) {
    await removeRole(needs, session, name, signal).catch((cause: unknown) =>
      needs.system.log.warn('loader.left', `the role ${name} of an interrupted restore could not be dropped: ${wordsOf(cause)}`),
    );
    await session.query('SELECT pg_advisory_unlock($1, hashtext($2))', [LOCK_CLASS, name]);
  }
}

/** An object that a killed run left behind goes to the owner of its database first; privileges it was given go with it. */
async function removeRole(needs: LoaderNeeds, session: Connection, name: string, signal: AbortSignal): Promise<void> {
  const id = session.escapeIdentifier;
  await session.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [name]);
  const databases = await session.query<{ database: string; owner: string }>(
    `SELECT DISTINCT datname AS database, pg_get_userbyid(datdba) AS owner
       FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid OR (d.dbid = 0 AND b.datname = current_database())
      WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)`,
    [name],
  );
  for (const { database, owner } of databases) {
    const there = await openSession(needs, database, signal);
    try {
      if (owner !== name) await there.query(`REASSIGN OWNED BY ${id(name)} TO ${id(owner)}`);
      await there.query(`DROP OWNED BY ${id(name)}`);
    } finally {
      await there.end();
    }
  }
  await session.query(`DROP ROLE IF EXISTS ${id(name)}`);
}

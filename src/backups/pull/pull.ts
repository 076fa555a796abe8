import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { makeLabel } from '../../kernel/labels.ts';
import { type Backup, type Dumps, isGood } from '../backup.ts';
import { listRelations } from '../dump/contents.ts';
import { createDumps } from '../dump/dumps.ts';
import { type Loader, type LoaderNeeds, openMaintenance, openSession } from '../dump/loader.ts';
import type { LoadReport } from '../load-dump.ts';
import { type AnonymisedColumn, anonymise, findColumns } from './anonymise.ts';
import type { ColumnRule } from './rules.ts';
import { inEverySchema, means } from './table-patterns.ts';

export interface PullWish {
  /** A server of which a connection is at hand, or the folder of another dbkit's repository. */
  readonly from: { readonly server: Config } | { readonly repository: string };
  /** Of the source; undefined: that of the connection, or the only one of the dump. */
  readonly database: string | undefined;
  /** The new name here; undefined: the same as there. */
  readonly as: string | undefined;
  /** Tables that come without their rows, as pg_dump's patterns. */
  readonly excludeTableData: readonly string[];
  readonly rules: readonly ColumnRule[];
  /** Somebody answers for what is there: what only a superuser may make is made. */
  readonly isTrusted: boolean;
}

/** JSON; fields are only ever added. */
export interface PullReport extends Omit<LoadReport, 'label' | 'replaced'> {
  readonly anonymised: readonly AnonymisedColumn[];
}

export interface Pulls {
  /** A database of another server as a new one here; nothing is ever written there. Rejects as `Dumps.load` does, or with `usage.invalid` for a rule. */
  pull(wish: PullWish, signal: AbortSignal): Promise<PullReport>;
}

export function createPulls(needs: LoaderNeeds): Pulls {
  return {
    async pull(wish, signal) {
      if ('repository' in wish.from) {
        if (wish.excludeTableData.length > 0)
          throw new DbkitError('usage.invalid', 'a dump that is there already holds the rows of its tables', {
            hint: 'leave --exclude-table-data out, or name a server instead of a folder; nothing was changed',
          });
        const dumps = dumpsIn(needs, needs.config, wish.from.repository);
        return load(needs, dumps, await newest(dumps, wish.from.repository, signal), wish, signal);
      }
      const { server } = wish.from;
      return throughStaging(
        needs,
        async (folder) => {
          const database = wish.database ?? server.postgresql.database ?? server.postgresql.username;
          await requireNames(server, database, wish, signal);
          await requireFree(needs, wish.as ?? database, signal);
          const options = { databases: [database], excludeTableData: wish.excludeTableData.map(inEverySchema) };
          const there = { ...server, stateDir: join(folder, 'state') }; // A key of its own, and gone with the dump.
          const backup = await dumpsIn(needs, there, folder).take(signal, options);
          return load(needs, dumpsIn(needs, needs.config, folder), backup, { ...wish, database }, signal);
        },
        signal,
      );
    },
  };
}

/** The seal of a dump is made with a key of its server’s own state, so nothing of another server passes for what was made here. */
const dumpsIn = (needs: LoaderNeeds, config: Config, backupDir: string): Dumps =>
  createDumps({ ...needs, config: { ...config, backupDir } });

async function newest({ repository }: Dumps, folder: string, signal: AbortSignal): Promise<Backup> {
  const found = (await repository.list(signal)).filter(isGood).sort((a, b) => b.createdAt.localeCompare(a.createdAt))[0];
  if (found) return found;
  throw new DbkitError('backup.missing', `there is no good dump or base backup in ${folder}`, {
    hint: 'name the repository of another dbkit, in which `dbkit backup create` has made one; nothing was changed',
  });
}

/** Before hours are spent: a rule or a pattern for what is not there is told now. */
async function requireNames(server: Config, database: string, { rules, excludeTableData }: PullWish, signal: AbortSignal): Promise<void> {
  const session = await openSession({ config: server }, database, signal);
  try {
    if (rules.length > 0) await findColumns(session, rules);
    const tables = await listRelations(session, 'r');
    const strange = excludeTableData.filter((pattern) => !tables.some((table) => means(pattern, table)));
    if (strange.length > 0)
      throw new DbkitError('usage.invalid', `no table is meant by ${strange.join(', ')}`, {
        hint: 'write TABLE or SCHEMA.TABLE, with * for anything; nothing was changed',
      });
  } finally {
    await session.end();
  }
}

async function requireFree(needs: LoaderNeeds, name: string, signal: AbortSignal): Promise<void> {
  const session = await openMaintenance(needs, signal);
  const taken = await session.query('SELECT FROM pg_database WHERE datname = $1', [name]).finally(() => session.end());
  if (taken.length > 0)
    throw new DbkitError('file.exists', `there is a database ${name} already`, {
      hint: 'give it another name with --as; nothing was changed',
    });
}

async function load(
  needs: LoaderNeeds,
  dumps: Dumps,
  backup: Backup,
  { database, as, rules, isTrusted }: PullWish,
  signal: AbortSignal,
): Promise<PullReport> {
  let anonymised: readonly AnonymisedColumn[] = [];
  const into = as ?? database;
  if (into === undefined)
    throw new DbkitError('usage.invalid', 'the database has no name here yet', { hint: 'name it with --as; nothing was changed' });
  const rewrite = async (name: string, loader: Loader): Promise<LoadReport['missing']> => {
    const done = await anonymise(needs, { database: name, loader }, rules, signal);
    anonymised = done.columns;
    return done.missing;
  };
  const request = {
    database,
    into,
    isTrusted,
    ...(rules.length > 0 ? { rewrite } : {}),
  };
  const { label: _label, replaced: _replaced, ...report } = await dumps.load(backup, request, signal);
  return { ...report, anonymised };
}

/** Beside the repository, for one pull at a time; what a killed one has left is removed before, and its own afterwards. */
async function throughStaging<T>(
  { config, system, owner }: LoaderNeeds,
  work: (folder: string) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const root = join(config.backupDir, '.pull');
  await system.files.makeDirectory(root, { mode: 0o700, owner });
  const lock = await system.locks.acquire(join(root, 'lock'), 'dbkit pull', owner);
  try {
    for (const name of await readdir(root)) if (name !== 'lock') await rm(join(root, name), { recursive: true, force: true });
    signal.throwIfAborted();
    const folder = join(root, makeLabel('dump', system.clock.now()));
    await system.files.makeDirectory(folder, { mode: 0o700, owner });
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  } finally {
    await lock.release();
  }
}

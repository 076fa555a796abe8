import type { BaseBackups, FoundBackup } from '../backups/backup.ts';
import { isGood } from '../backups/backup.ts';
import { createBackups } from '../backups/backups.ts';
import { everyBackup } from '../backups/find-backup.ts';
import type { Pulls, PullWish } from '../backups/pull/pull.ts';
import type { Config } from '../config/config.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Identity, System } from '../kernel/machine.ts';
import type { Copies, OpenCopy } from '../restore/copies-contract.ts';

interface Needs {
  readonly config: Config;
  readonly system: System;
  readonly owner: Identity;
  readonly copies: Pick<Copies, 'open'>;
}

/**
 * Pulls that take a base backup of another dbkit's repository too: a throw-away copy of it is started on a private socket, archiving nothing and
 * following nobody, and the database is pulled from there. A dump goes first where it can serve the wish. Rejects with `recovery.refused`
 * where nobody answers for the cluster: to read it, its server is started with its own settings.
 */
export const pullsFromBackups = (needs: Needs, pulls: Pulls): Pulls => ({
  async pull(wish, signal) {
    const { from } = wish;
    if (!('repository' in from)) return pulls.pull(wish, signal);
    const found = await baseBackupFor(needs, from.repository, wish, signal);
    if (found === undefined) return pulls.pull(wish, signal);
    if (!wish.isTrusted)
      throw new DbkitError(
        'recovery.refused',
        `${found.backup.label} is a base backup: a server is started on it here, as ${needs.owner.name}, with that cluster's settings and functions`,
        {
          hint: 'add --trust because you know who made it, or pull from a dump, which needs no server; nothing was changed',
        },
      );
    needs.system.log.info('pull.base-backup', `reading ${found.backup.label} through a copy that archives nothing and follows nobody`, {
      label: found.backup.label,
    });
    return needs.copies.open(
      found,
      (copy) => pulls.pull({ ...wish, database: databaseOf(wish, copy), from: { server: reaching(needs.config, copy) } }, signal),
      signal,
    );
  },
});

/** The newest good base backup there; undefined where a dump is there that can serve. */
async function baseBackupFor(
  { config, system, owner }: Needs,
  repository: string,
  { excludeTableData }: PullWish,
  signal: AbortSignal,
): Promise<FoundBackup<BaseBackups> | undefined> {
  const there = { ...config, backupDir: repository };
  const all = await everyBackup({ backups: createBackups({ config: there, system, dataDir: config.postgresql.dataDir, owner }) }, signal);
  const good = all.filter(({ backup }) => isGood(backup));
  if (excludeTableData.length === 0 && good.some(({ of }) => of.kind === 'logical')) return undefined;
  return good.find((found): found is FoundBackup<BaseBackups> => found.of.kind === 'physical');
}

function databaseOf({ database }: PullWish, copy: OpenCopy): string {
  if (database !== undefined) return database;
  if (copy.database !== 'postgres') return copy.database; // The application's name here is one there too.
  throw new DbkitError('usage.invalid', 'a base backup holds every database of its cluster', {
    hint: 'name the one to pull with --database; nothing was changed',
  });
}

const reaching = (config: Config, { socketDir, port, user, database }: OpenCopy): Config => ({
  ...config,
  postgresql: { ...config.postgresql, socketDir, port, superuser: user, superuserPassword: undefined, username: user, database },
});

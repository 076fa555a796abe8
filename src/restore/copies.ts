import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backup, BackupEngine } from '../backups/backup.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { connectSuperuser } from '../instance/local.ts';
import { DbkitError } from '../kernel/errors.ts';
import { bringTables } from '../restore/bring-tables.ts';
import type { Copies, OpenCopy } from '../restore/copies-contract.ts';
import { copyTo } from '../restore/copy-to.ts';
import { drill } from '../restore/drill.ts';
import { onScratchCopy, type Scratch } from '../restore/scratch.ts';

/** What can be done with a backup without touching the instance. */
export function createCopies(options: PostgresqlOptions): Copies {
  const { log } = options.system;
  return {
    copyTo: (backup, target, signal) => copyTo(options, { backup, engine: engineOf(options, backup) }, target, signal),
    open: (backup, work, signal) =>
      onScratchCopy(options, { backup, engine: engineOf(options, backup) }, signal, async (scratch) => {
        const copy = await addressOf(scratch, signal);
        log.info('copy.opened', `a copy of ${backup.label} is open; whatever you change in it is thrown away`, { label: backup.label });
        return work(copy);
      }),
    bringTables: (backup, request, signal) => bringTables(options, { backup, engine: loaderOf(options, backup) }, request, signal),
    drill: (backup, signal) => drill(options, { backup, engine: engineOf(options, backup) }, signal),
  };
}

/** Rejects with `usage.invalid` for dumps, which are no data directories. */
function engineOf({ engines }: PostgresqlOptions, { label, kind }: Backup): BackupEngine {
  const engine = engines.find((candidate) => candidate.kind === 'physical');
  if (engine && kind === 'physical') return engine;
  throw new DbkitError('usage.invalid', `${label} is a dump: there are no files to start a server on`, {
    hint: '`dbkit backup list` shows the base backups',
  });
}

/** Tables come from both kinds. */
const loaderOf = (options: PostgresqlOptions, backup: Backup): BackupEngine =>
  options.engines.find(({ kind }) => kind === backup.kind) ?? engineOf(options, backup);

async function addressOf({ local, socketDir }: Scratch, signal: AbortSignal): Promise<OpenCopy> {
  const { username, database = username, port, superuser } = local.settings;
  const session = await connectSuperuser(local, 'postgres', signal, socketDir);
  const known = await session.query('SELECT FROM pg_database WHERE datname = $1 AND datallowconn', [database]).finally(() => session.end());
  const own = join(local.binaries.directory, 'psql');
  const client = await access(own).then(
    () => own,
    () => 'psql',
  );
  return { socketDir, port, user: superuser, database: known.length > 0 ? database : 'postgres', client };
}

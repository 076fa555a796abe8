import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { requireBase } from '../backups/find-backup.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { connectForServer } from '../instance/local.ts';
import { bringTables } from '../restore/bring-tables.ts';
import type { Copies, OpenCopy } from '../restore/copies-contract.ts';
import { copyTo } from '../restore/copy-to.ts';
import { drill } from '../restore/drill.ts';
import { clearLeftCopies, onScratchCopy, type Scratch } from '../restore/scratch.ts';

/** Work that can be done with a backup without touching the instance. */
export function createCopies(options: PostgresqlOptions): Copies {
  const { log } = options.system;
  return {
    copyTo: async (found, target, signal) => copyTo(options, requireBase(found), target, signal),
    open: async (found, work, signal) =>
      onScratchCopy(options, requireBase(found), signal, async (scratch) => {
        const copy = await addressOf(scratch, signal);
        log.info('copy.opened', `a copy of ${found.backup.label} is open; whatever you change in it is thrown away`, {
          label: found.backup.label,
        });
        return work(copy);
      }),
    bringTables: (found, request, signal) => bringTables(options, found, request, signal),
    clearLeft: async (signal) => clearLeftCopies(options, signal),
    drill: async (found, signal) => drill(options, requireBase(found), signal),
  };
}

async function addressOf({ local, socketDir }: Scratch, signal: AbortSignal): Promise<OpenCopy> {
  const { username, database = username, port, superuser } = local.settings;
  const session = await connectForServer(local, signal, socketDir);
  const known = await session.query('SELECT FROM pg_database WHERE datname = $1 AND datallowconn', [database]).finally(() => session.end());
  const own = join(local.binaries.directory, 'psql');
  const client = await access(own).then(
    () => own,
    () => 'psql',
  );
  return { socketDir, port, user: superuser, database: known.length > 0 ? database : 'postgres', client };
}

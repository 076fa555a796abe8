import { realpath } from 'node:fs/promises';
import { readCluster } from '../backups/base/cluster.ts';
import { refuse } from '../backups/engine-refusals.ts';
import type { Connection } from '../instance/connection.ts';
import { serverOwner } from '../instance/owner.ts';
import { DbkitError } from '../kernel/errors.ts';
import { claimArchive } from '../wal/claim.ts';
import { keepWal } from '../wal/keep-wal.ts';
import { archiveDir } from '../wal/layout.ts';
import type { PostgresqlOptions } from './hold.ts';
import { keepingOf } from './keeping-of.ts';

const IDENTITY = 'SELECT system_identifier::text AS identifier FROM pg_control_system()';

/**
 * Keeps the WAL of a server that somebody else runs until `signal` fires, across its stops and starts. Rejects with `data.corrupt` where there is no
 * cluster, with `lock.held` where its WAL is being kept already, and with `wal.conflict` for a copy of one; what goes wrong later is told and tried again.
 */
export async function receiveWal({ config, system }: Pick<PostgresqlOptions, 'config' | 'system'>, signal: AbortSignal): Promise<void> {
  if (config.backup.engine === 'pgbackrest') throw refuse('pgbackrest-keeps-the-wal');
  const { postgresql: settings, stateDir, backupDir } = config;
  const cluster = await readCluster(settings.dataDir, signal);
  const owner = await serverOwner(settings, system);
  const dataDir = await realpath(settings.dataDir);
  const { systemIdentifier, segmentSizeBytes } = cluster;
  const keeping = keepingOf({ system, settings, stateDir, backupDir, dataDir, owner, systemIdentifier, segmentSizeBytes }, config);
  await system.files.ownDirectory(stateDir, { mode: 0o755 });
  await system.files.ownDirectory(backupDir, { mode: 0o700, owner });
  await (await claimArchive(archiveDir(backupDir, systemIdentifier), keeping)).release(); // Said at once; later it would only be tried again.
  const connect = async (asking: AbortSignal): Promise<Connection> =>
    serves(await keeping.connect(asking), systemIdentifier, settings.port);
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  await keepWal({ ...keeping, connect, isLimited: true }, { exited: stopped });
}

/** The server that answers is that of the data: positions of another one would say nothing about these files. */
async function serves(session: Connection, systemIdentifier: string, port: number): Promise<Connection> {
  try {
    const [row] = await session.query<{ identifier: string }>(IDENTITY);
    if (row?.identifier === systemIdentifier) return session;
  } catch (cause) {
    await session.end();
    throw cause;
  }
  await session.end();
  throw new DbkitError('data.foreign', `the server on port ${port} does not serve this data directory`, {
    hint: 'set PGDATA and PGPORT to the same cluster; nothing of it was kept',
  });
}

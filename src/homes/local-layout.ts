import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Where `--local` alone keeps everything, from the working directory. */
export const LOCAL_DIR = '.dbkit';

const SOCKET_DIR_BYTES_MAX = 90; // Leaves room for `/.s.PGSQL.65535.lock` within the 107 bytes of sun_path.

/** Where `--local DIR` keeps everything. Pure: the caller found out whether PostgreSQL's user can reach DIR. */
export interface LocalLayout {
  readonly base: string;
  readonly moved: boolean;
  readonly settings: readonly { readonly path: string; readonly value: string; readonly flag: string }[];
}

/** One folder for data, logs, backups, state and socket; elsewhere when the server's user cannot reach it, or the socket's path is too long. */
export function localLayout(directory: string, reachable: boolean): LocalLayout {
  const digest = createHash('sha256').update(directory).digest('hex').slice(0, 8);
  const base = reachable ? directory : `/var/lib/dbkit/local-${digest}`;
  const run = join(base, 'run');
  const socketDir = Buffer.byteLength(run) <= SOCKET_DIR_BYTES_MAX ? run : `/tmp/dbkit-${digest}`;
  const places = {
    stateDir: join(base, 'state'),
    logDir: join(base, 'log'),
    backupDir: join(base, 'backup'),
    servicesDir: join(base, 'services.d'),
    'postgresql.dataDir': join(base, 'data'),
    'postgresql.socketDir': socketDir,
  };
  return { base, moved: !reachable, settings: Object.entries(places).map(([path, value]) => ({ path, value, flag: '--local' })) };
}

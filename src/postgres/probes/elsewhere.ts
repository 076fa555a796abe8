import { readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { Config } from '../../core/config.ts';

/**
 * The configuration file that the server was started with, when it is not in PGDATA (Debian keeps it in /etc/postgresql/16/main); undefined
 * otherwise. From postmaster.opts, which the server writes at each start and leaves when it stops (src/backend/utils/init/miscinit.c).
 */
export async function configFileElsewhere(dataDir: string): Promise<string | undefined> {
  const options = await readFile(join(dataDir, 'postmaster.opts'), 'utf8').catch(() => '');
  const path = /"(?:--)?config[_-]file=([^"]+)"/.exec(options)?.[1];
  return path === undefined || dirname(path) === dataDir ? undefined : path;
}

/**
 * Where the server logs: where the configuration says; where the server itself says it collects it (PGDATA/current_logfiles); where dbkit sends
 * its stderr; where Debian's pg_ctlcluster does.
 */
export async function serverLogFile({ health, logDir, postgresql: { dataDir } }: Config): Promise<string> {
  if (health.logFile !== undefined) return health.logFile;
  const collected = /^stderr (.+)$/m.exec(await readFile(join(dataDir, 'current_logfiles'), 'utf8').catch(() => ''))?.[1];
  if (collected !== undefined) return isAbsolute(collected) ? collected : join(dataDir, collected);
  const own = join(logDir, 'postgresql.log');
  const elsewhere = (await exists(own)) ? undefined : await configFileElsewhere(dataDir);
  const [, version, cluster] = /\/(\d+)\/([^/]+)\/postgresql\.conf$/.exec(elsewhere ?? '') ?? [];
  if (elsewhere === undefined || version === undefined) return own;
  const link = join(dirname(elsewhere), 'log'); // Where a cluster was made with a log of its own.
  return (await exists(link)) ? link : `/var/log/postgresql/postgresql-${version}-${cluster}.log`;
}

const exists = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

import { dirname, isAbsolute, join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { System } from '../kernel/machine.ts';
import { isReachable } from '../machine/is-there.ts';
import { readPlainText } from '../machine/plain-file.ts';
import { configFileElsewhere, debianClusterOf } from './external-configuration.ts';

/** A log, and the format that log_destination gives it. */
export interface ServerLog {
  readonly path: string;
  readonly format: 'stderr' | 'csvlog' | 'jsonlog';
}

/** Every file that the server writes its messages to now: it may write several formats at once. Never empty. */
export async function serverLogFiles(config: Config): Promise<readonly ServerLog[]> {
  const { health, postgresql } = config;
  if (health.logFile !== undefined) return [{ path: health.logFile, format: formatOf(health.logFile) }];
  const collected = await readPlainText(join(postgresql.dataDir, 'current_logfiles')).catch(() => '');
  const found = [...collected.matchAll(/^(stderr|csvlog|jsonlog) (.+)$/gm)].map(([, format, path]) => ({
    path: isAbsolute(path!) ? path! : join(postgresql.dataDir, path!),
    format: format as ServerLog['format'],
  }));
  return found.length > 0 ? found : [{ path: await serverLogFile(config), format: 'stderr' }];
}

const formatOf = (path: string): ServerLog['format'] => (path.endsWith('.csv') ? 'csvlog' : path.endsWith('.json') ? 'jsonlog' : 'stderr');

/**
 * Where the server logs: where the configuration says; where the server itself says it collects it (PGDATA/current_logfiles); where dbkit sends
 * its stderr; where Debian's pg_ctlcluster does.
 */
export async function serverLogFile({ health, logDir, postgresql: { dataDir } }: Config): Promise<string> {
  if (health.logFile !== undefined) return health.logFile;
  const collected = /^stderr (.+)$/m.exec(await readPlainText(join(dataDir, 'current_logfiles')).catch(() => ''))?.[1];
  if (collected !== undefined) return isAbsolute(collected) ? collected : join(dataDir, collected);
  const own = join(logDir, 'postgresql.log');
  const elsewhere = (await isReachable(own)) ? undefined : await configFileElsewhere(dataDir);
  const cluster = elsewhere === undefined ? undefined : debianClusterOf(elsewhere);
  if (elsewhere === undefined || cluster === undefined) return own;
  const link = join(dirname(elsewhere), 'log'); // Where a cluster was made with a log of its own.
  return (await isReachable(link)) ? link : `/var/log/postgresql/postgresql-${cluster.version}-${cluster.name}.log`;
}

/**
 * Where a log is written to, so that a server runs whatever has become of LOG_DIR (full, read-only, somebody else's): there, else beside dbkit's
 * state, else nowhere. What it says of its own start is read from there too.
 */
export async function writableLog(
  name: string,
  { logDir, stateDir }: Pick<Config, 'logDir' | 'stateDir'>,
  { files, log }: Pick<System, 'files' | 'log'>,
): Promise<string> {
  const wanted = join(logDir, name);
  const found = files.firstWritable([wanted, join(stateDir, name)], { mode: 0o640 }) ?? '/dev/null';
  if (found !== wanted)
    log.warn('log.elsewhere', `${wanted} cannot be written: ${found === '/dev/null' ? 'nothing is logged' : `${found} is used`}`);
  return found;
}

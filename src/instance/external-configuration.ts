import { readdir } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { parseConf } from '../formats/conf.ts';
import { DbkitError } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { isReachable } from '../machine/is-there.ts';
import { readPlainText } from '../machine/plain-file.ts';

/** Debian keeps the configuration of each cluster in /etc/postgresql/VERSION/NAME (postgresql-common, pg_createcluster(1)). */
const DEBIAN = '/etc/postgresql';

/** A cluster as Debian's tools name it: 15/main. */
export interface DebianCluster {
  readonly version: string;
  readonly name: string;
}

/**
 * The main configuration file, where it is not in PGDATA; undefined otherwise. From postmaster.opts, which the server writes at each start and
 * leaves when it stops (src/backend/utils/init/miscinit.c); a server that never ran, and data that a restore has brought back, have none: then
 * from Debian's folders, where one of them names this PGDATA.
 */
export async function configFileElsewhere(dataDir: string, debian = DEBIAN): Promise<string | undefined> {
  const options = (await readPlainText(join(dataDir, 'postmaster.opts')).catch(unlessOwnTrouble)) ?? '';
  const path = /"(?:--)?config[_-]file=([^"]+)"/.exec(options)?.[1];
  if (path !== undefined) return dirname(path) === dataDir ? undefined : path;
  return (await isReachable(join(dataDir, 'postgresql.conf'))) ? undefined : debianFileFor(dataDir, debian);
}

/** Which cluster of Debian's a configuration file belongs to; undefined for a file that is laid out otherwise. Pure. */
export function debianClusterOf(configFile: string): DebianCluster | undefined {
  const [, version, name] = /\/(\d+)\/([^/]+)\/postgresql\.conf$/.exec(configFile) ?? [];
  return version === undefined || name === undefined ? undefined : { version, name };
}

async function debianFileFor(dataDir: string, debian: string): Promise<string | undefined> {
  for (const { path, settings } of await debianConfigurations(debian)) {
    const named = settings.get('data_directory');
    if (named !== undefined && normalize(`${named}/`) === normalize(`${dataDir}/`)) return path;
  }
  return undefined;
}

/** A cluster by its name, '15/main'. Rejects with `usage.invalid`, naming those there are. */
export async function debianCluster(cluster: string, debian = DEBIAN): Promise<Awaited<ReturnType<typeof debianConfigurations>>[number]> {
  const all = await debianConfigurations(debian);
  const found = all.find(({ path }) => path === join(debian, cluster, 'postgresql.conf'));
  if (found) return found;
  const names = all.map(({ path }) => debianClusterOf(path)).map((each) => `${each?.version}/${each?.name}`);
  throw new DbkitError('usage.invalid', `there is no cluster '${cluster}' in ${debian}`, {
    hint: names.length > 0 ? `there are: ${names.join(', ')}` : '--data-dir names a data directory that is not Debian’s',
  });
}

/** Every cluster's main configuration file with what it sets, oldest version first. */
export async function debianConfigurations(
  debian = DEBIAN,
): Promise<readonly { readonly path: string; readonly settings: ReadonlyMap<string, string> }[]> {
  const list = async (folder: string): Promise<string[]> => (await readdir(folder).catch(unlessOwnTrouble)) ?? [];
  const versions = (await list(debian)).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(a) - Number(b));
  const homes = (
    await Promise.all(versions.map(async (version) => (await list(join(debian, version))).map((name) => [version, name])))
  ).flat();
  const read = homes.map(async ([version, name]) => {
    const path = join(debian, version!, name!, 'postgresql.conf');
    const text = await readPlainText(path).catch(unlessOwnTrouble);
    return text === undefined ? [] : [{ path, settings: parseConf(text).settings }];
  });
  return (await Promise.all(read)).flat();
}

/**
 * The arguments of `postgres` to serve `dataDir` with the configuration of the instance at `home`: nothing where the configuration is in the
 * directory. data_directory stands beside it, as the file names the original's, and would win over -D (guc.c, SelectConfigFiles).
 */
export async function configurationArguments(home: string, dataDir: string): Promise<string[]> {
  if (dataDir !== home && (await isReachable(join(dataDir, 'postgresql.conf')))) return [];
  const configFile = await configFileElsewhere(home);
  return configFile === undefined ? [] : ['-c', `config_file=${configFile}`, '-c', `data_directory=${dataDir}`];
}

/** `--cluster 15/main`: a cluster of Debian's says itself where its data, socket and port are; as layers of the configuration take them. */
export async function clusterFlags(
  cluster: string | undefined,
): Promise<readonly { readonly path: string; readonly value: unknown; readonly flag: string }[]> {
  if (cluster === undefined) return [];
  const { settings } = await debianCluster(cluster);
  const port = settings.get('port');
  const given = [
    ['postgresql.dataDir', settings.get('data_directory')],
    ['postgresql.socketDir', settings.get('unix_socket_directories')?.split(',')[0]?.trim()],
    ['postgresql.port', port === undefined ? undefined : Number(port)],
  ] as const;
  return given.filter(([, value]) => value !== undefined).map(([path, value]) => ({ path, value, flag: '--cluster' }));
}

import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Alerter } from './alerts/contract.ts';
import type { Backups } from './backups/backup.ts';
import { createBackups, lazyBase } from './backups/backups.ts';
import type { Copies } from './backups/offsite/copies.ts';
import type { Open, OpenOptions } from './cli/cli.ts';
import { settingFlags } from './cli/global-flags.ts';
import { requireFiles, takesAnyServer } from './cli/needs-files.ts';
import type { Parts } from './cli/parts.ts';
import { createCopying } from './cluster/copying/copying.ts';
import type { MemberOptions } from './cluster/member/member.ts';
import { clusterOf } from './cluster/watched.ts';
import type { Config } from './config/config.ts';
import { configPath, readConfigFile, readEnvironment } from './config/file.ts';
import { memberSettings } from './config/ha-settings.ts';
import { type Layers, type LoadedConfig, layerConfig } from './config/layers.ts';
import { createSettingsFile } from './config/settings-file.ts';
import { trustFile } from './config/trusted-files.ts';
import { createControl } from './control/socket.ts';
import { createStatusBoard } from './control/status-board.ts';
import { controlTarget } from './control/target.ts';
import { createProjectFolder } from './homes/devcontainer/project-folder.ts';
import { LOCAL_DIR, localLayout } from './homes/local-layout.ts';
import { findTarget, withTarget } from './instance/connection-only.ts';
import { embeddedDirectory } from './instance/embedded.ts';
import { clusterFlags } from './instance/external-configuration.ts';
import { claimDirectory, claimLogDirectory, serverOwner } from './instance/owner.ts';
import { writableLog } from './instance/server-log-file.ts';
import { lazily } from './kernel/load-on-demand.ts';
import type { System } from './kernel/machine.ts';
import { createGit } from './machine/git.ts';
import { handOverState } from './machine/hand-over.ts';
import { isMissing, localPort, reachableByOthers } from './machine/local-folder.ts';
import { createLogger, type LogTaps } from './machine/logger.ts';
import { createSystem } from './machine/machine.ts';
import { actAs, readAsCaller, requireChangeOfIds } from './machine/privileges.ts';
import { createSdNotify } from './machine/sd-notify.ts';
import { createSystemd } from './machine/systemd.ts';
import { createMonitorMemory } from './monitor/memory.ts';
import { createRecoveryHistory } from './recovery/history.ts';
import { deskDatabases } from './supervisor/desk-databases.ts';
import { createPostgresql } from './supervisor/postgresql.ts';
import type { Service } from './supervisor/service.ts';
import { collectServices } from './supervisor/services/registry.ts';

/** Config → Parts: the only file that knows every adapter. */
export const open: Open = {
  config: async (options) => load(options, await systemFor(options)),
  parts: async (options) => assemble(options),
  trust: async (options, { file, forget }) => trustFile({ from: options.workingDirectory, file, forget }, await systemFor(options)),
  logger: (options) => createLogger(options.logLevel, options.log),
};

const systemFor = (options: OpenOptions, taps?: LogTaps): Promise<System> =>
  createSystem(createLogger(options.logLevel, options.log, taps), options.environment);

async function load(options: OpenOptions, system: System): Promise<LoadedConfig> {
  const { flags, environment, command } = options;
  const loaded = await loadLayers(options, system);
  const target = await findTarget(loaded, { url: flags.url, environment, readAsCaller, takesAnyServer: takesAnyServer(command) });
  if (target === undefined) return loaded;
  requireFiles(command, target.from);
  return { ...loaded, config: withTarget(loaded, target, environment) };
}

async function loadLayers({ flags, environment, workingDirectory }: OpenOptions, system: System): Promise<LoadedConfig> {
  const local = flags.local === undefined ? [] : await localFlags(flags.local, workingDirectory, environment, system);
  return layerConfig({
    file: await readConfigFile(flags.config ?? environment['DBKIT_CONFIG'], workingDirectory, system, {
      inDevContainer: isInDevContainer(environment),
    }),
    ...(await readEnvironment(environment)),
    flags: [...local, ...(await clusterFlags(flags.cluster)), ...settingFlags(flags, (path) => resolve(workingDirectory, path))],
  });
}

/** `--local`: one folder for everything, its own port, and the embedded programs where npm brought them. */
async function localFlags(
  local: string | true,
  workingDirectory: string,
  environment: OpenOptions['environment'],
  system: System,
): Promise<Layers['flags']> {
  const directory = resolve(workingDirectory, local === true ? LOCAL_DIR : local);
  const layout = localLayout(directory, system.self.uid !== 0 || (await reachableByOthers(directory)));
  if (layout.moved) {
    const say = (await isMissing(layout.base)) ? system.log.info : system.log.debug; // News only once; `status` shows the folder ever after.
    say('local.moved', `root may not run PostgreSQL, and its user cannot reach ${directory}: everything is kept in ${layout.base}`);
  }
  const port = environment['PGPORT']
    ? []
    : [{ path: 'postgresql.port', value: await localPort(layout.base, system.files), flag: '--local' }];
  const embedded = environment['POSTGRES_BIN_DIR'] ? undefined : embeddedDirectory();
  return [
    ...layout.settings,
    ...port,
    ...(embedded ? [{ path: 'postgresql.binDir', value: resolve(embedded, 'bin'), flag: '--local' }] : []),
  ];
}

async function assemble(options: OpenOptions): Promise<Parts> {
  const taps: LogTaps = new Set();
  const system = await systemFor(options, taps);
  system.trace('program.loaded');
  const loaded = await load(options, system);
  const { config, origins } = loaded;
  if (!options.asCaller) await putRootsRightsDown(config, system);
  const alerts = lazyAlerts(config, system, options);
  const backups = await backupsFor(config, system, alerts.reveal);
  const offsite = await offsiteCopies(config, system, alerts.reveal);
  const { leading, ...cluster } = clusterOf({ ...system, config, alerts, environment: options.environment });
  const given = { reveal: alerts.reveal, onFail: onFail(config, options), passwordIsGiven: origins.has('postgresql.password') };
  const { service, ...postgresql } = createPostgresql({ config, system, backups, leading, ...given });
  const { username, database = username, port, socketDir } = config.postgresql;
  const connection = { PGHOST: socketDir, PGPORT: String(port), PGUSER: username, PGDATABASE: database };
  const main = await mainService(service, { config, system, recover: postgresql.recover, environment: options.environment });
  const { services, disabled, initScripts } = await collectServices(config, [main], system, connection);
  system.trace('parts.assembled');
  return {
    config,
    origins,
    services,
    disabled,
    initScripts,
    ...postgresql,
    control: createControl(
      config.stateDir,
      { files: system.files, log: system.log, taps, target: () => controlTarget(config.postgresql.dataDir) },
      async () => (await serverOwner(config.postgresql, system).catch(() => undefined))?.gid,
    ),
    memory: createMonitorMemory(config.stateDir, system),
    ...cluster,
    copying: createCopying({ config, system, alerts, inspect: postgresql.inspect }),
    alerts,
    settingsFile: createSettingsFile(
      () => configPath(options.flags.config ?? options.environment['DBKIT_CONFIG'], options.workingDirectory, system.self.uid === 0),
      config.stateDir,
      system,
    ),
    sdNotify: createSdNotify(system, options.environment),
    ping: alerts.ping,
    git: createGit(system.runner),
    project: createProjectFolder(system),
    board: createStatusBoard(config.stateDir, system.files),
    history: createRecoveryHistory(config.stateDir, system),
    backups,
    ...deskDatabases(loaded, system, { environment: options.environment, readAsCaller, copies: postgresql.copies }),
    offsite,
    clock: system.clock,
    files: system.files,
    log: system.log,
    spawn: system.spawn,
    runner: system.runner,
    locks: system.locks,
    prepareLog: async (signal) => {
      await claimLogDirectory(config.logDir, await serverOwner(config.postgresql, system), system, signal);
      return writableLog('dbkit.log', config, system);
    },
    prepareFolders: (signal) => prepareFolders(config, system, signal),
    systemd: createSystemd(system),
    signals: options.signals,
    commandEnvironment: { ...connection, ...defined(options.environment) },
  };
}

/** PostgreSQL, or the Patroni that runs it here. */
async function mainService(postgresql: Service, options: Omit<MemberOptions, 'settings'>): Promise<Service> {
  const settings = memberSettings(options.config);
  if (settings === undefined) return postgresql;
  const { createPatroniService } = await import('./supervisor/patroni.ts');
  return createPatroniService({ ...options, settings }, postgresql);
}

/**
 * Root's dbkit works in folders that the server's user may write to, so it works there as that user. Whoever has no such user has nothing to
 * work on either, which the command then says; where PostgreSQL is disabled, the other services are root's own.
 */
async function putRootsRightsDown({ postgresql, stateDir, disabledServices }: Config, system: System): Promise<void> {
  if (system.self.uid !== 0 || disabledServices.includes('postgresql')) return;
  const owner = await serverOwner(postgresql, system).catch(() => undefined);
  if (owner === undefined || owner.uid === 0) return;
  requireChangeOfIds(owner);
  handOverState(stateDir, owner);
  if (!(await reachableByOthers(PROGRAM))) await loadEverything(); // What is loaded later would be read as that user.
  actAs(owner);
}

const PROGRAM = fileURLToPath(new URL('.', import.meta.url));

async function loadEverything(): Promise<void> {
  const chunks = (await readdir(PROGRAM)).filter((name) => name.endsWith('.js'));
  await Promise.all(chunks.map((name) => import(pathToFileURL(join(PROGRAM, name)).href)));
}

/** Whoever ran dbkit as root before left a state that a unit's user could not write. */
async function prepareFolders({ stateDir, backupDir, logDir, postgresql }: Config, system: System, signal: AbortSignal): Promise<void> {
  const owner = await serverOwner(postgresql, system);
  for (const [path, mode] of [
    [stateDir, 0o755], // A unit may write below it only where it was there when the unit was started.
    [backupDir, 0o700],
    [logDir, 0o755],
  ] as const)
    await claimDirectory(path, owner, mode, system, signal);
  if (system.self.uid === 0) handOverState(stateDir, owner);
}

/** Most commands tell nobody anything. */
function lazyAlerts(config: Config, system: System, { environment }: OpenOptions): Alerter & Pick<Parts, 'ping'> {
  const load = async () => (await import('./alerts/alerter.ts')).createAlerter(config, system, { environment, readAsCaller });
  return {
    channels: Object.keys(config.alerts.channels),
    ...lazily(['tell', 'history', 'test', 'tryOut', 'telegramChats', 'reveal', 'ping'], load),
  };
}

/** A repository needs to know whose files it keeps; where that cannot be known yet there is nothing to back up either. */
async function backupsFor(config: Config, system: System, reveal: Alerter['reveal']): Promise<readonly Backups[]> {
  const owner = await serverOwner(config.postgresql, system).catch(() => undefined);
  if (!owner) return [];
  const own = createBackups({ config, system, dataDir: config.postgresql.dataDir, owner });
  const loadRest = async () => (await import('./pgbackrest/rest-backups.ts')).createRestBackups({ config, system, owner, reveal });
  const all = config.backup.engine === 'pgbackrest' ? [lazyBase('pgbackrest', loadRest), ...own] : own; // Earlier ones of dbkit's stay what they are.
  return config.postgresql.connectionOnly ? all.filter(({ kind }) => kind === 'logical') : all;
}

async function offsiteCopies(config: Config, system: System, reveal: Alerter['reveal']): Promise<Copies> {
  const owner = await serverOwner(config.postgresql, system).catch(() => undefined);
  const load = async () =>
    (await import('./backups/offsite/copies.ts')).createCopies({ config, owner, system, clock: system.clock, reveal });
  return lazily(['copy', 'sendWal', 'followWal', 'pending', 'list', 'verify', 'expire', 'rotate', 'keys', 'bring'], load);
}

/** Hold is for people who look at the container; machines want an exit status. */
function onFail({ postgresql }: Config, { flags, environment, isTerminal }: OpenOptions): 'exit' | 'hold' {
  if (flags.strict) return 'exit';
  if (postgresql.onFail) return postgresql.onFail;
  if (environment['CI'] === 'true') return 'exit';
  return isInDevContainer(environment) || isTerminal ? 'hold' : 'exit';
}

const isInDevContainer = (environment: OpenOptions['environment']): boolean =>
  ['REMOTE_CONTAINERS', 'DEVCONTAINER', 'CODESPACES', 'REMOTE_CONTAINERS_IPC'].some((name) => environment[name]);

const defined = (environment: OpenOptions['environment']): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined));

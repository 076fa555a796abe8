import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ConfigInput } from '../../src/config/config.ts';
import { serverUser } from './as-user.ts';
import type { Address } from './ask.ts';
import { copyTree, makeDirectory } from './files.ts';
import { type Programs, runnable } from './majors.ts';
import { freePort } from './ports.ts';
import { killAllIn } from './processes.ts';
import { type Places, templateOf } from './template.ts';

/** One instance in a temporary directory of its own, with the environment that makes dbkit see it and nothing else of the machine. */
export interface Instance extends Address {
  readonly programs: Programs;
  readonly root: string;
  readonly dataDir: string;
  readonly stateDir: string;
  readonly logDir: string;
  readonly backupDir: string;
  /** Init scripts for a new cluster (the official image's docker-entrypoint-initdb.d). */
  readonly initScriptsDir: string;
  readonly configFile: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where the template's relations are; meaningless in a new cluster. */
  readonly places: Places;
  /** Work to do before the directory is removed, newest first: an unmount. */
  beforeRemoval(work: () => Promise<void>): void;
}

export interface InstanceOptions {
  readonly programs: Programs;
  /** Whether PGDATA starts as a copy of the template or as an empty directory. */
  readonly from: 'template' | 'empty';
  /** What the name of the directory around everything begins with. */
  readonly prefix?: string;
}

/** Makes an instance that is gone, with every process in it, when the test ends: passed, failed or timed out. */
export async function openInstance({ programs, from, prefix = 'dbkit-test-' }: InstanceOptions): Promise<Instance> {
  const root = await mkdtemp(join(tmpdir(), prefix));
  const undo: (() => Promise<void>)[] = [];
  onTestFinished(async () => {
    await killAllIn(root);
    for (const work of undo.reverse()) await work();
    await rm(root, { recursive: true, force: true });
  });
  await chmod(root, 0o755);
  const inside = (name: string): string => join(root, name);
  const template = await templateOf(programs);
  if (from === 'template') await copyTree(template.dataDir, inside('data'));
  else await makeDirectory(inside('data'), serverUser, 0o700);
  for (const name of ['run', 'logs', 'backups']) await makeDirectory(inside(name), serverUser, 0o755);
  await makeDirectory(inside('initdb.d'), serverUser);
  const port = await freePort();
  const instance = {
    programs: await runnable(programs),
    root,
    port,
    dataDir: inside('data'),
    stateDir: inside('state'),
    logDir: inside('logs'),
    backupDir: inside('backups'),
    socketDir: inside('run'),
    initScriptsDir: inside('initdb.d'),
    configFile: inside('dbkit.json'),
    places: template.places,
    beforeRemoval: (work: () => Promise<void>) => void undo.push(work),
  };
  const complete: Instance = { ...instance, env: environmentOf(instance) };
  await configure(complete, {});
  return complete;
}

/** Another instance that shares the directory but not what is named: a second dbkit on the same volume. */
export async function beside(instance: Instance, name: string): Promise<Instance> {
  const own = { stateDir: join(instance.root, name), socketDir: join(instance.root, `${name}-run`), port: await freePort() };
  await makeDirectory(own.socketDir, serverUser);
  const other = { ...instance, ...own };
  return { ...other, env: environmentOf(other) };
}

/** A server that is killed leaves its shared memory behind: in its own directory it goes with that, in /dev/shm it would stay. */
const inItsOwnDirectory = { dynamic_shared_memory_type: 'mmap' };

/** Writes dbkit's configuration file. Retries come soon, as a test need not wait like a container. */
export async function configure({ configFile, initScriptsDir }: Instance, config: ConfigInput): Promise<void> {
  const defaults: ConfigInput = { backup: { afterStart: false } }; // A test that wants a backup takes it itself.
  const settings = { ...inItsOwnDirectory, ...config.postgresql?.settings };
  const postgresql = { startRetrySeconds: 0.2, initScriptsDir, ...config.postgresql, settings };
  await writeFile(configFile, JSON.stringify({ ...defaults, ...config, postgresql }, null, 2));
}

function environmentOf(instance: Omit<Instance, 'env'>): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: instance.root,
    LANG: 'C',
    TZ: 'UTC',
    DBKIT_CONFIG: instance.configFile,
    PGDATA: instance.dataDir,
    PGHOST: instance.socketDir,
    PGPORT: String(instance.port),
    POSTGRES_BIN_DIR: instance.programs.directory,
    DATABASE_USERNAME: 'app',
    DATABASE_PASSWORD: 'secret',
    DBKIT_STATE_DIR: instance.stateDir,
    DBKIT_SERVICES_DIR: join(instance.root, 'services.d'),
    LOG_DIR: instance.logDir,
    BACKUP_DIR: instance.backupDir,
    DBKIT_BACKUP_AFTER_START: 'false',
    DBKIT_WAL: 'off', // What is done without an archive; those that have one say so.
    MAX_STARTUP_SECONDS: '30',
    CI: 'true', // Refusals end the entrypoint with their status instead of holding.
  };
}

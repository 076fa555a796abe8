import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { freePort } from '../harness/ports.ts';
import { program } from './image.ts';
import { must, podman, type Ran, run, until } from './tools.ts';

const OFFICIAL = 'docker.io/library/postgres:15';
const NODE = 'docker.io/library/node:22-bookworm-slim';

/** The images that a registry would give: the lab reaches none. */
export async function images(): Promise<void> {
  await podman('build', '--format=docker', '--tag', OFFICIAL, fileURLToPath(new URL('official', import.meta.url)));
  await podman('tag', 'docker.io/library/node:22-bookworm', NODE);
}

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
}

/** Somebody's project with a compose file. `up` does what Compose would with one service: build or take its image, and run it with its volumes. */
export interface Project {
  readonly root: string;
  readonly port: number;
  file(): Promise<string>;
  dbkit(...words: readonly string[]): Promise<Ran>;
  up(service: string): Promise<void>;
  /** `docker compose run --rm SERVICE WORDS…` */
  once(service: string, ...words: readonly string[]): Promise<Ran>;
  exec(...words: readonly string[]): Promise<Ran>;
  sql(statement: string, user?: string): Promise<string>;
  /** As a client from elsewhere: over TCP, with the password. */
  overTcp(statement: string): Promise<string>;
  stop(): Promise<number>;
  remove(): Promise<void>;
  volume(name: string): Promise<string>;
  logs(): Promise<string>;
  end(): Promise<void>;
}

export async function project(text: (port: number) => string): Promise<Project> {
  const root = join(await mkdtemp(join(tmpdir(), 'dbkit-compose-')), 'shop');
  await mkdir(root);
  const port = await freePort();
  await writeFile(join(root, 'compose.yaml'), text(port));
  const name = basename(dirname(root)).toLowerCase();
  const file = (): Promise<string> => readFile(join(root, 'compose.yaml'), 'utf8');
  const container = `${name}-db`;
  const flagsOf = async (service: string): Promise<string[]> => {
    const {
      image,
      build,
      environment = {},
      volumes = [],
    } = (parse(await file()) as { services: Record<string, Service> }).services[service]!;
    const tag = image ?? `localhost/${name}-${service}`;
    if (build !== undefined) await podman('build', '--format=docker', '--tag', tag, join(root, build));
    return [
      '--network=host',
      ...Object.entries(environment).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
      ...volumes.flatMap((volume) => ['--volume', volume.startsWith('.') ? join(root, volume) : `${name}-${volume}`]),
      tag,
    ];
  };
  const sql = async (statement: string, ...flags: readonly string[]): Promise<string> =>
    (await must('podman', ['exec', ...flags, '-qtAX', '-v', 'ON_ERROR_STOP=1', '-c', statement])).stdout.trim();
  return {
    root,
    port,
    file,
    dbkit: (...words) => run(process.execPath, [program, ...words], { cwd: root }),
    async up(service) {
      await podman('run', '--detach', '--name', container, ...(await flagsOf(service)));
      await until(
        'it answers',
        async () => (await run('podman', ['exec', container, 'pg_isready', '-q', '-h', '127.0.0.1'])).code === 0,
        120_000,
      );
    },
    once: async (service, ...words) => run('podman', ['run', '--rm', ...(await flagsOf(service)), ...words]),
    exec: (...words) => run('podman', ['exec', container, ...words]),
    sql: (statement, user = 'shop') => sql(statement, container, 'psql', '-U', user, '-d', 'orders'),
    overTcp: (statement) =>
      sql(statement, '--env', 'PGPASSWORD=secret', container, 'psql', '-h', '127.0.0.1', '-U', 'shop', '-d', 'orders'),
    async stop() {
      await podman('stop', '--time=10', container);
      return Number((await podman('inspect', '--format={{.State.ExitCode}}', container)).stdout);
    },
    remove: async () => void (await podman('rm', container)),
    volume: async (volume) => (await podman('volume', 'inspect', '--format={{.Mountpoint}}', `${name}-${volume}`)).stdout.trim(),
    logs: async () => (await podman('logs', container)).stderr,
    async end() {
      await run('podman', ['rm', '--force', '--time=5', container]);
      for (const volume of ['pgdata', 'dbkit-backups']) await run('podman', ['volume', 'rm', `${name}-${volume}`]);
      for (const service of ['db', 'dbkit']) await run('podman', ['rmi', '--force', `localhost/${name}-${service}`]);
      await rm(dirname(root), { recursive: true, force: true });
    },
  };
}

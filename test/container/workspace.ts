import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '../harness/ports.ts';
import { program } from './image.ts';
import { devcontainer, must, podman, type Ran, run } from './tools.ts';

/** Somebody's project in its dev container, handled with the real command line of the dev containers. */
export interface Workspace {
  readonly root: string;
  /** The data as the host sees it. */
  readonly dataDir: string;
  id(): string;
  /** `devcontainer up`: what it said, and whether its hooks succeeded. */
  up(...flags: readonly string[]): Promise<Ran & { readonly outcome: string }>;
  /** As the remote user, in the workspace. */
  exec(...words: readonly string[]): Promise<Ran>;
  sql(statement: string): Promise<string>;
  /** `podman stop` with ten seconds; the container's exit status. */
  stop(): Promise<{ readonly ms: number; readonly exit: number }>;
  kill(): Promise<void>;
  /** What dbkit, on stderr, has said in the container since this was asked last. */
  news(): Promise<string>;
  end(): Promise<void>;
}

/** `prepare` gets the folder, with the template in it, before anything runs. */
export async function workspace(prepare: (root: string, port: number) => Promise<void> = usePort): Promise<Workspace> {
  const root = join(await mkdtemp(join(tmpdir(), 'dbkit-workspace-')), 'shop');
  await mkdir(root);
  await must(process.execPath, [program, 'init', 'devcontainer'], { cwd: root });
  await prepare(root, await freePort());
  let id = '';
  let heard = 0;
  const folder = ['--workspace-folder', root];
  return {
    root,
    dataDir: join(root, '.DB_data'),
    id: () => id,
    async up(...flags) {
      const ran = await devcontainer('up', ...folder, ...flags);
      const answer = JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '{}') as { outcome?: string; containerId?: string };
      id = answer.containerId ?? id;
      return { ...ran, outcome: answer.outcome ?? 'none' };
    },
    exec: (...words) => devcontainer('exec', ...folder, ...words),
    async sql(statement) {
      const ran = await devcontainer('exec', ...folder, 'psql', '-qtAX', '-v', 'ON_ERROR_STOP=1', '-c', statement);
      if (ran.code !== 0) throw new Error(`${statement}\n${ran.stdout}\n${ran.stderr}`);
      return ran.stdout.trim();
    },
    stop: () => stopped(id),
    kill: async () => void (await podman('kill', '--signal=KILL', id)),
    async news() {
      const { stderr } = await podman('logs', id);
      const said = stderr.slice(heard);
      heard = stderr.length;
      return said;
    },
    async end() {
      const { stdout } = await run('podman', ['ps', '--all', '--quiet', '--filter', `label=devcontainer.local_folder=${root}`]);
      for (const container of stdout.split('\n').filter(Boolean))
        await run('podman', ['rm', '--force', '--volumes', '--time=5', container]);
      await rm(dirname(root), { recursive: true, force: true });
    },
  };
}

/** Containers of the lab share the host's ports. */
export async function usePort(root: string, port: number): Promise<void> {
  const file = join(root, '.devcontainer', 'devcontainer.json');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('{\n', `{\n  "containerEnv": { "PGPORT": "${port}" },\n`));
}

export async function stopped(id: string): Promise<{ readonly ms: number; readonly exit: number }> {
  const { ms } = await podman('stop', '--time=10', id);
  const { stdout } = await podman('inspect', '--format={{.State.ExitCode}}', id);
  return { ms, exit: Number(stdout) };
}

import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Runner } from '../../kernel/machine.ts';
import { firstProgram, foldersIn, isExecutable, namesIn } from '../../machine/is-there.ts';

/** PATH of what is started: nothing of the caller's. */
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const DEBIAN = '/usr/lib/postgresql';

export interface Programs {
  readonly patroni: string;
  readonly etcd: string;
  readonly haproxy: string;
  readonly pgbouncer: string;
  /** With pg_basebackup and pg_rewind, which npm's packages lack. */
  readonly binDir: string;
  readonly patroniVersion: string;
}

/** Rejects with `program.missing`, naming all that is missing and the packages that bring it. */
export async function findPrograms({ postgresql }: Pick<Config, 'postgresql'>, runner: Runner, signal: AbortSignal): Promise<Programs> {
  const [patroni, etcd, haproxy, pgbouncer, binDir] = await Promise.all([
    ...['patroni', 'etcd', 'haproxy', 'pgbouncer'].map(inPath),
    findServer(postgresql.binDir),
  ]);
  if (!patroni || !etcd || !haproxy || !pgbouncer || !binDir) {
    const missing = Object.entries({ patroni, etcd, haproxy, pgbouncer, pg_basebackup: binDir }).filter(([, path]) => path === undefined);
    throw new DbkitError(
      'program.missing',
      `a local cluster needs programs that are not here: ${missing.map(([name]) => name).join(', ')}`,
      {
        hint: 'on Debian: apt-get install patroni python3-etcd etcd-server haproxy pgbouncer postgresql',
      },
    );
  }
  const { stdout } = await runner.run({ file: patroni, args: ['--version'], timeoutMs: 20_000 }, signal);
  const patroniVersion = /(\d+\.\d+(\.\d+)?)/.exec(stdout)?.[1];
  if (patroniVersion === undefined)
    throw new DbkitError('program.unusable', `${patroni} does not say its version`, {
      hint: `look at the output of \`${patroni} --version\``,
    });
  return { patroni, etcd, haproxy, pgbouncer, binDir, patroniVersion };
}

const inPath = (name: string): Promise<string | undefined> => firstProgram(name, foldersIn(PATH));

async function findServer(binDir: string | undefined): Promise<string | undefined> {
  const majors = (await namesIn(DEBIAN)).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a));
  for (const folder of [...(binDir === undefined ? [] : [binDir]), ...majors.map((major) => join(DEBIAN, major, 'bin'))])
    if ((await isExecutable(join(folder, 'pg_basebackup'))) && (await isExecutable(join(folder, 'postgres')))) return folder;
  return undefined;
}

/** Rejects with `port.in-use` where one of these ports of the loopback is somebody's. */
export async function refuseTakenPorts(ports: readonly number[]): Promise<void> {
  for (const port of ports)
    if (!(await isFree(port)))
      throw new DbkitError(
        'port.in-use',
        `port ${port} is in use, and the local cluster needs ports ${Math.min(...ports)} to ${Math.max(...ports)}`,
        {
          hint: 'name another first port: `dbkit ha up --local --first-port 17000`; nothing was started',
        },
      );
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

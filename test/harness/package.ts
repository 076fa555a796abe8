import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';

const execute = promisify(execFile);

/** What `npm pack` makes of this checkout, as it was built. */
export interface Package {
  readonly tarball: string;
  readonly sizeBytes: number;
  readonly unpackedBytes: number;
  readonly files: readonly string[];
}

/** Packs into `folder`. Without scripts: the build would pull dist/ away from under the tests that run beside this one. */
export async function pack(folder: string): Promise<Package> {
  const { stdout } = await execute('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]);
  const [made] = Object.values(
    JSON.parse(stdout) as Record<string, { filename: string; size: number; unpackedSize: number; files: { path: string }[] }>,
  );
  return {
    tarball: join(folder, made!.filename),
    sizeBytes: made!.size,
    unpackedBytes: made!.unpackedSize,
    files: made!.files.map(({ path }) => path),
  };
}

/** An empty folder that every user may enter: PostgreSQL does not run as root. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-package-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  await chmod(folder, 0o755);
  return folder;
}

/** A command of a README's console block and what it shows below it. */
export interface Step {
  readonly command: string;
  readonly shown: readonly string[];
}

/** The steps of the first console block below a heading of the README. */
export async function tourOf(heading: string): Promise<readonly Step[]> {
  const [, block = ''] = (await readFile('README.md', 'utf8')).split(`\n## ${heading}\n`)[1]?.match(/```console\n([\s\S]*?)```/) ?? [];
  return block
    .split(/^\$ /m)
    .filter(Boolean)
    .map((step) => {
      const [command, ...shown] = step.trimEnd().split('\n');
      return { command: command!.replace(/\s+#.*$/, ''), shown };
    });
}

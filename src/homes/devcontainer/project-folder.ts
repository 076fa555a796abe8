import { lstat, mkdtemp, readdir, readFile, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DbkitError, errnoOf, wordsOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { editJsonc, parseJsonc } from './jsonc.ts';
import type { ProjectFolder } from './project-folder-contract.ts';

const PACK_TIMEOUT_MS = 120_000;

/** Files of somebody's project, and those of dbkit's own package that are copied into it. */
export function createProjectFolder({ files, runner, self }: Pick<System, 'files' | 'runner' | 'self'>): ProjectFolder {
  return {
    parse: parseJsonc,
    edit: editJsonc,
    read: async (path) => (await bytesOf(path))?.toString('utf8'),
    async holds(path, body) {
      const bytes = await bytesOf(path);
      return bytes === undefined ? 'nothing' : bytes.equals(body) ? 'same' : 'other';
    },
    async write(path, body, project) {
      try {
        const target = await placeWithin(project, path);
        const mode = (await stat(target).catch(() => undefined))?.mode ?? 0o644;
        await files.makeDirectory(dirname(target));
        await files.write(target, body, { mode: mode & 0o777 });
      } catch (cause) {
        if (cause instanceof DbkitError) throw cause;
        throw new DbkitError('command.failed', `${path} cannot be written: ${wordsOf(cause)}`, {
          hint: `run it as the user that the project belongs to; this is ${self.name}`,
          cause,
        });
      }
    },
    template: async (name) => readFile(join(await packageRoot(), '.devcontainer', name), 'utf8'),
    async pack(signal) {
      const to = await mkdtemp(join(tmpdir(), 'dbkit-pack-'));
      try {
        const args = ['pack', await packageRoot(), '--ignore-scripts', '--silent', `--pack-destination=${to}`];
        await runner.run({ file: 'npm', args, cwd: to, timeoutMs: PACK_TIMEOUT_MS }, signal);
        const [name] = await readdir(to);
        return await readFile(join(to, name!));
      } finally {
        await rm(to, { recursive: true, force: true });
      }
    },
  };
}

/** Where `path` really is, links followed: what is not there yet, below the nearest folder that is. */
async function placeWithin(project: string, path: string): Promise<string> {
  const root = await realpath(project);
  const place = async (at: string): Promise<string> => {
    const entry = await lstat(at).catch(() => undefined);
    if (entry?.isSymbolicLink()) return realpath(at).catch(() => join('/', 'dangling'));
    return entry ? realpath(at) : join(await place(dirname(at)), basename(at));
  };
  const real = await place(path);
  if (real === root || real.startsWith(`${root}/`)) return real;
  throw new DbkitError('recovery.refused', `${path} leads out of the project through a link`, {
    hint: 'look at that link, and remove it; nothing was written through it',
  });
}

const bytesOf = (path: string): Promise<Buffer | undefined> =>
  readFile(path).catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw new DbkitError('command.failed', `${path} cannot be read: ${wordsOf(cause)}`, { hint: 'nothing was changed', cause });
  });

/** The folder of bin/dbkit.js, above the built chunks and above the sources; dist/ has a package.json of its own. */
async function packageRoot(): Promise<string> {
  for (let directory = dirname(fileURLToPath(import.meta.url)); ; directory = dirname(directory)) {
    if (await stat(join(directory, 'bin/dbkit.js')).catch(() => undefined)) return directory;
    if (directory === dirname(directory)) throw new Error('bin/dbkit.js is missing above the program');
  }
}

import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { DbkitError, errnoOf, unlessMissing, wordsOf } from '../../kernel/errors.ts';
import type { Git, GitRepository } from '../../machine/git-repository.ts';
import { isThere } from '../../machine/is-there.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import { beforeCommit } from './before-commit.ts';
import { type Hook, type HookFacts, hookFile, isShellScript, type Program, planHook, withoutBlock } from './plan.ts';

type Needs = { readonly git: Pick<Git, 'repositoryOf'> };

export interface HookReport {
  /** 'told': nothing was written, and `add` is what to put into `path`. */
  readonly outcome: 'installed' | 'present' | 'told' | 'removed' | 'absent';
  readonly path: string;
  readonly because: string;
  /** The lines for a person to add to `path`; null where dbkit did it. */
  readonly add: string | null;
}

/** `flags`: those by which dbkit finds the server. */
interface Wanted {
  readonly directory: string;
  readonly program: Program;
  readonly flags?: readonly string[];
  readonly hook?: (flags: readonly string[]) => Hook;
}

/**
 * Puts dbkit's block into a hook, the check before every commit unless told otherwise, beside whatever is there. Rejects with `command.failed`
 * outside a work tree, and with `usage.invalid` where the flags would mean something else in the folder that hooks are run in.
 */
export async function installHook(
  { git }: Needs,
  { directory, program, flags = [], hook: hookOf = beforeCommit }: Wanted,
  signal: AbortSignal,
): Promise<HookReport> {
  const repository = await git.repositoryOf(directory, signal);
  if (flags.length > 0 && (await realpath(directory)) !== (await realpath(repository.root)))
    throw new DbkitError('usage.invalid', `${flags.join(' ')} would mean something else where git runs its hooks`, {
      hint: `run it in ${repository.root}; nothing was changed`,
    });
  const hook = hookOf(flags);
  const facts = await look(repository, hook);
  const { action, path, text, because } = planHook(facts, hook, program);
  if (action === 'tell') return { outcome: 'told', path, because, add: text };
  if (action === 'write') await writeHook(path, text, facts);
  return { outcome: action === 'write' ? 'installed' : 'present', path, because, add: null };
}

/** Takes dbkit's block out again; a hook that holds nothing else goes with it. */
export async function uninstallHook(
  { git }: Needs,
  { directory, hook: hookOf = beforeCommit }: Pick<Wanted, 'directory' | 'hook'>,
  signal: AbortSignal,
): Promise<HookReport> {
  const hook = hookOf([]);
  const facts = await look(await git.repositoryOf(directory, signal), hook);
  const path = hookFile(facts, hook);
  const rest = facts.present === undefined || facts.present === 'foreign' ? undefined : withoutBlock(facts.present);
  if (rest === undefined) {
    const because = facts.managed
      ? `remove the entry ${hook.entry} from ${facts.managed.file} yourself`
      : 'there is no block of dbkit’s in it';
    return { outcome: 'absent', path, because, add: null };
  }
  if (rest === '') await rm(path);
  else await writeHook(path, rest, facts);
  return { outcome: 'removed', path, because: rest === '' ? 'nothing else was in it' : 'the rest of it stays', add: null };
}

const managers = [
  ['pre-commit', '.pre-commit-config.yaml'],
  ...['lefthook', '.lefthook', '.config/lefthook'].flatMap((name) =>
    ['yml', 'yaml', 'json', 'toml'].map((ending) => ['lefthook', `${name}.${ending}`] as const),
  ),
] as const;

async function look({ root, gitDir, hooksDir }: GitRepository, hook: Hook): Promise<HookFacts> {
  const found = await Promise.all(
    managers.map(async ([by, name]) => {
      const file = join(root, name);
      const text = await readPlainText(file, { sizeMaxBytes: 1024 * 1024 }).catch(() => undefined); // A link of the repository’s may lead to a device.
      return text === undefined ? undefined : { by, file, text };
    }),
  );
  const husky = hooksDir === join(root, '.husky') || hooksDir === join(root, '.husky/_') || (await isThere(join(root, '.husky')));
  return {
    root,
    gitDir,
    hooksDir,
    isOwn: isWithin(root, hooksDir) || isWithin(gitDir, hooksDir),
    husky,
    managed: found.find((file) => file !== undefined),
    present: await readHook(hookFile({ root, hooksDir, husky }, hook)),
  };
}

const isWithin = (directory: string, path: string): boolean => !relative(directory, path).startsWith('..');

async function readHook(path: string): Promise<HookFacts['present']> {
  const entry = await lstat(path).catch((cause: unknown) => (errnoOf(cause) === 'ENOTDIR' ? undefined : unlessMissing(cause)));
  if (entry === undefined) return undefined;
  if (!entry.isFile()) return 'foreign'; // A link leads to somebody else's file.
  const text = await readFile(path, 'utf8');
  return isShellScript(text) && !text.includes('\0') ? text : 'foreign';
}

/**
 * Whole or not at all, and executable: git passes over a hook that is not. Never through a link: whoever wrote the repository may have put one
 * there, to a file of whoever clones it.
 */
async function writeHook(path: string, text: string, { root, gitDir }: Pick<GitRepository, 'root' | 'gitDir'>): Promise<void> {
  const aside = `${path}.${randomBytes(4).toString('hex')}.dbkit-new`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const folder = await realpath(dirname(path));
    const owns = await Promise.all([root, gitDir].map((own) => realpath(own)));
    const isLinked = (await lstat(path).catch(() => undefined))?.isSymbolicLink() ?? false;
    if (isLinked || !owns.some((own) => isWithin(own, folder)))
      throw new DbkitError('recovery.refused', `${path} leads out of this repository through a link`, {
        hint: 'look at that link, and remove it; nothing was written',
      });
    await writeFile(aside, text, { mode: 0o755, flag: 'wx' });
    await chmod(aside, 0o755);
    await rename(aside, path);
  } catch (cause) {
    await rm(aside, { force: true }).catch(() => undefined);
    if (cause instanceof DbkitError) throw cause;
    throw new DbkitError('command.failed', `${path} cannot be written (${errnoOf(cause) ?? wordsOf(cause)})`, {
      hint: 'run it as the user that the repository belongs to',
      cause,
    });
  }
}

import { shellWord } from '../../kernel/shell-word.ts';
/** A hook of git's in which dbkit has a block. */
export interface Hook {
  readonly name: 'pre-commit' | 'post-checkout';
  /** Why, and which command removes it. */
  readonly heading: string;
  /** Where the file of a hook manager bears this name, dbkit is in it already. */
  readonly entry: string;
  readonly entries: Readonly<Record<'pre-commit' | 'lefthook', string>>;
  /** The line that a person adds to a hook of another language. */
  readonly command: string;
  /** Lines of plain sh. `program`: how this very program is started, for hooks that stay on this machine. */
  lines(program: Program | undefined): readonly string[];
}

/** The facts of a repository's hooks before anything is written. */
export interface HookFacts {
  /** The work tree's root, and where git looks for hooks (core.hooksPath included). */
  readonly root: string;
  readonly gitDir: string;
  readonly hooksDir: string;
  /** hooksDir belongs to this repository alone: it is in its work tree or its git directory. */
  readonly isOwn: boolean;
  /** `.husky` in the work tree, which holds the hooks that people write. */
  readonly husky: boolean;
  /** The configuration file of a hook manager that generates the hooks itself; undefined when there is none. */
  readonly managed: { readonly by: 'pre-commit' | 'lefthook'; readonly file: string; readonly text: string } | undefined;
  /** The hook that is there now; undefined when there is none, 'foreign' when it is no text of a shell's. */
  readonly present: string | 'foreign' | undefined;
}

/** Node and the script. */
export type Program = readonly [node: string, script: string];

/** The result of installing. */
export type HookPlan =
  | { readonly action: 'write' | 'keep'; readonly path: string; readonly text: string; readonly because: string }
  | { readonly action: 'tell'; readonly path: string; readonly text: string; readonly because: string };

const BEGIN = '# >>> dbkit >>>';
const END = '# <<< dbkit <<<';
const block = new RegExp(`${BEGIN}[\\s\\S]*?${END}\\n?`);

/** Where the hook that people may edit is. */
export const hookFile = (
  { root, hooksDir, husky }: Pick<HookFacts, 'root' | 'hooksDir' | 'husky'>,
  { name }: Pick<Hook, 'name'>,
): string => (husky ? `${root}/.husky/${name}` : `${hooksDir}/${name}`);

/** `fallback`: how this very program is started, for hooks that stay on this machine. */
export function planHook(facts: HookFacts, hook: Hook, fallback: Program): HookPlan {
  const { present, managed, husky, isOwn, hooksDir } = facts;
  const path = hookFile(facts, hook);
  const mine = blockOf(hook, husky || !path.startsWith(`${facts.gitDir}/`) ? undefined : fallback); // What is committed must not name this machine's paths.
  if (managed?.text.includes(hook.entry))
    return { action: 'keep', path: managed.file, text: managed.text, because: `it has an entry ${hook.entry} already` };
  if (managed) {
    const because = `${managed.by} makes the hooks of this repository from its own file`;
    return { action: 'tell', path: managed.file, text: hook.entries[managed.by], because };
  }
  if (!isOwn && !husky)
    return { action: 'tell', path, text: mine, because: `core.hooksPath is ${hooksDir}, which other repositories may share` };
  if (present === 'foreign')
    return { action: 'tell', path, text: hook.command, because: 'a hook that is no shell script is there already' };
  if (present === undefined || present.trim() === '')
    return { action: 'write', path, text: `#!/bin/sh\n${mine}`, because: `there was no ${hook.name} hook` };
  if (block.test(present)) {
    const text = present.replace(block, () => mine);
    return { action: text === present ? 'keep' : 'write', path, text, because: 'the hook has dbkit’s block already' };
  }
  return { action: 'write', path, text: inserted(present, mine), because: 'the hook that was there stays as it is, below dbkit’s block' };
}

/** The hook without dbkit's block: undefined when there is none in it, '' when nothing else is left. */
export function withoutBlock(text: string): string | undefined {
  if (!block.test(text)) return undefined;
  const rest = text.replace(block, '');
  return rest.replace(/^#!.*\n?/, '').trim() === '' ? '' : rest;
}

/** True if a hook is a shell's script, to which a block of shell can be added. Husky's have no first line of their own. */
export const isShellScript = (text: string): boolean => !text.startsWith('#!') || /^#!.*\b(sh|bash|dash|zsh|ksh)\b/.test(text);

/** On top, not at the end: a script that ends with `exit` or `exec` would never get there. */
function inserted(script: string, mine: string): string {
  const shebang = /^#!.*\n/.exec(script)?.[0] ?? '';
  return `${shebang}${mine}${script.slice(shebang.length)}`;
}

const blockOf = (hook: Hook, program: Program | undefined): string =>
  [`${BEGIN} ${hook.heading}`, ...hook.lines(program), `${END}\n`].join('\n');

/**
 * Shell that is true where npm has installed dbkit: the program really lies in node_modules, of which the repository has no file, no link and no
 * submodule of its own. Where git does not answer it is false.
 */
const installedByNpm = [
  '[ -x node_modules/.bin/dbkit ]',
  `{ case "$(readlink -f node_modules/.bin/dbkit)" in "$(pwd -P)"/node_modules/*) : ;; *) false ;; esac; }`,
  `tracked=$(git ls-files -- ':(icase)node_modules' 2>/dev/null)`,
  '[ -z "$tracked" ]',
].join(' && ');

/**
 * Plain sh that runs dbkit: the one in PATH, else what npm has installed, else `program`; never one that the repository itself brings: a checkout of
 * somebody's branch would run it. `otherwise` is run where there is none.
 */
export function runsDbkit(words: string, program: Program | undefined, otherwise: string): string[] {
  const own = program?.map((word) => shellWord(word));
  return [
    `if command -v dbkit >/dev/null 2>&1; then dbkit ${words}`,
    `elif ${installedByNpm}; then`,
    `  node_modules/.bin/dbkit ${words}`,
    ...(own ? [`elif [ -f ${own[1]} ]; then ${own.join(' ')} ${words}`] : []),
    `else ${otherwise}`,
    'fi',
  ];
}

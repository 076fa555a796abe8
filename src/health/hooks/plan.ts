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
export const hookFile = ({ root, hooksDir, husky }: Pick<HookFacts, 'root' | 'hooksDir' | 'husky'>): string =>
  husky ? `${root}/.husky/pre-commit` : `${hooksDir}/pre-commit`;

/** `fallback`: how this very program is started, for hooks that stay on this machine. */
export function planHook(facts: HookFacts, fallback: Program): HookPlan {
  const { present, managed, husky, isOwn, hooksDir } = facts;
  const path = hookFile(facts);
  const mine = blockFor(husky || !path.startsWith(`${facts.gitDir}/`) ? undefined : fallback); // What is committed must not name this machine's paths.
  if (managed && /\bdbkit-health\b/.test(managed.text))
    return { action: 'keep', path: managed.file, text: managed.text, because: 'it has an entry dbkit-health already' };
  if (managed) {
    const because = `${managed.by} makes the hooks of this repository from its own file`;
    return { action: 'tell', path: managed.file, text: entryFor[managed.by], because };
  }
  if (!isOwn && !husky)
    return { action: 'tell', path, text: mine, because: `core.hooksPath is ${hooksDir}, which other repositories may share` };
  if (present === 'foreign')
    return { action: 'tell', path, text: 'dbkit hooks run', because: 'a hook that is no shell script is there already' };
  if (present === undefined || present.trim() === '')
    return { action: 'write', path, text: `#!/bin/sh\n${mine}`, because: 'there was no pre-commit hook' };
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

/** Plain sh. Who has no dbkit is told so, and may commit. */
function blockFor(fallback: Program | undefined): string {
  const words = fallback?.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  return [
    `${BEGIN} is the database well? \`dbkit hooks uninstall\` takes this block away`,
    'if command -v dbkit >/dev/null 2>&1; then dbkit hooks run || exit $?',
    // What npm has installed, not what the repository brings.
    'elif [ -x node_modules/.bin/dbkit ] && ! git ls-files --error-unmatch node_modules/.bin/dbkit >/dev/null 2>&1; then',
    '  node_modules/.bin/dbkit hooks run || exit $?',
    ...(words ? [`elif [ -f ${words[1]} ]; then ${words.join(' ')} hooks run || exit $?`] : []),
    "else echo 'dbkit is not installed here: the database was not checked' >&2",
    'fi',
    `${END}\n`,
  ].join('\n');
}

/** The lines to add to the file of a hook manager. */
const entryFor = {
  'pre-commit': `repos:
  - repo: local
    hooks:
      - id: dbkit-health
        name: the database is well
        entry: dbkit hooks run
        language: system
        always_run: true
        pass_filenames: false`,
  lefthook: `pre-commit:
  commands:
    dbkit-health:
      run: dbkit hooks run`,
} as const;

import { type Command, InvalidArgumentError } from 'commander';
import type { Cli } from './cli.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** One line of what may be typed: the words before, and what may follow them. */
interface Node {
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly about: string }[];
}

export function registerCompletion(program: Command, cli: Cli): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .argument('<shell>', shells.join(', '), (value: string): Shell => {
      if (!shells.includes(value as Shell)) throw new InvalidArgumentError(`expected one of ${shells.join(', ')}.`);
      return value as Shell;
    })
    .addHelpText(
      'after',
      '\nExamples:\n  source <(dbkit completion bash)\n  dbkit completion zsh > ~/.zfunc/_dbkit\n  dbkit completion fish > ~/.config/fish/completions/dbkit.fish',
    )
    .action((shell: Shell, _flags: object, command: Command) =>
      cli.run(command, async () => {
        const script = scripts[shell](nodesOf(program, ''));
        return { report: { shell, script }, text: () => script };
      }),
    );
}

/** Every command with its subcommands and flags: the script is made from the program itself, so it cannot fall behind it. */
function nodesOf(command: Command, path: string): Node[] {
  const globals = command.parent ? rootOf(command).options : [];
  const words = [
    ...command.commands.map((child) => ({ word: child.name(), about: child.description() })),
    ...[...command.options, ...globals].map((option) => ({ word: option.long ?? option.short ?? '', about: option.description })),
  ];
  return [{ path, words }, ...command.commands.flatMap((child) => nodesOf(child, path ? `${path} ${child.name()}` : child.name()))];
}

const rootOf = (command: Command): Command => (command.parent ? rootOf(command.parent) : command);
const quoted = (text: string): string => text.replaceAll("'", "'\\''");

const bash = (nodes: readonly Node[]): string => `# bash completion for dbkit
_dbkit() {
  local word path='' current="\${COMP_WORDS[COMP_CWORD]}"
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -- ]] && return
    [[ $word == -* ]] || path="\${path:+$path }$word"
  done
  case "$path" in
${nodes.map(({ path, words }) => `    '${path}') COMPREPLY=($(compgen -W '${words.map(({ word }) => word).join(' ')}' -- "$current")) ;;`).join('\n')}
  esac
}
complete -o default -F _dbkit dbkit
`;

const zsh = (nodes: readonly Node[]): string => `#compdef dbkit
_dbkit() {
  local word path=''
  for word in "\${words[@]:1:CURRENT-2}"; do
    [[ $word == -- ]] && { _files; return }
    [[ $word == -* ]] || path="\${path:+$path }$word"
  done
  local -a choices
  case "$path" in
${nodes.map(({ path, words }) => `    '${path}') choices=(${words.map(({ word, about }) => `'${word}:${quoted(about.replaceAll(':', ' -'))}'`).join(' ')}) ;;`).join('\n')}
  esac
  _describe dbkit choices
}
compdef _dbkit dbkit
`;

const fish = (nodes: readonly Node[]): string =>
  [
    '# fish completion for dbkit',
    'function __dbkit_path',
    '  set -l words (commandline -opc)[2..-1]',
    "  string join ' ' -- (string match -v -- '-*' $words)",
    'end',
    'complete -c dbkit -f',
    ...nodes.flatMap(({ path, words }) =>
      words.map(({ word, about }) =>
        word.startsWith('--')
          ? `complete -c dbkit -n 'test (__dbkit_path) = "${path}"' -l ${word.slice(2)} -d '${quoted(about)}'`
          : `complete -c dbkit -n 'test (__dbkit_path) = "${path}"' -a ${word} -d '${quoted(about)}'`,
      ),
    ),
    '',
  ].join('\n');

const scripts: Record<Shell, (nodes: readonly Node[]) => string> = { bash, zsh, fish };

import { Argument, type Command, type Option } from 'commander';
import { shellWord } from '../kernel/shell-word.ts';
import type { Cli } from './cli.ts';

/** One thing that may be typed. */
interface Word {
  readonly word: string;
  readonly about: string;
}
/** Words that may follow the words of `path`: commands and fixed arguments, flags, and the values of flags that have a fixed set. */
interface Node {
  readonly path: string;
  readonly words: readonly Word[];
  readonly flags: readonly (Word & { readonly takesValue: boolean; readonly values: readonly string[] })[];
}

export function registerCompletion(program: Command, cli: Cli): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>', 'whose script').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(dbkit completion bash)\n  dbkit completion zsh > ~/.zfunc/_dbkit\n  dbkit completion fish > ~/.config/fish/completions/dbkit.fish',
    )
    .action((shell: keyof typeof scripts, _flags: object, command: Command) =>
      cli.run(command, async () => {
        const script = scripts[shell](nodesOf(program, ''));
        return { report: { shell, script }, text: () => script };
      }),
    );
}

/** Every command with what may follow it: the scripts are made from the program itself, so they cannot fall behind it. */
function nodesOf(command: Command, path: string): Node[] {
  const visible = (option: Option): boolean => !option.hidden && option.long !== undefined && option.long !== null;
  const inherited = command.parent ? rootOf(command).options.filter(({ long }) => long !== '--version') : [];
  const node: Node = {
    path,
    words: [
      ...command.commands.map((child) => ({ word: child.name(), about: child.description() })),
      ...command.registeredArguments.flatMap(({ argChoices = [], description }) =>
        argChoices.map((word) => ({ word, about: description })),
      ),
    ],
    flags: [...command.options, ...inherited].filter(visible).map((option) => ({
      word: option.long!,
      about: option.description,
      takesValue: option.required,
      values: option.argChoices ?? [],
    })),
  };
  return [node, ...command.commands.flatMap((child) => nodesOf(child, `${path} ${child.name()}`.trim()))];
}

const rootOf = (command: Command): Command => (command.parent ? rootOf(command.parent) : command);
const listed = (words: readonly Word[]): string => words.map(({ word }) => word).join(' ');

/** The flags of the whole program whose value is the next word, and the fixed sets of such values; names mean the same everywhere. */
function valuesOf(nodes: readonly Node[]): { readonly taking: readonly string[]; readonly fixed: ReadonlyMap<string, readonly string[]> } {
  const flags = nodes.flatMap((node) => node.flags);
  return {
    taking: [...new Set(flags.filter(({ takesValue }) => takesValue).map(({ word }) => word))],
    fixed: new Map(flags.filter(({ values }) => values.length > 0).map(({ word, values }) => [word, values])),
  };
}

/** Bash and zsh walk the words alike: values of flags are skipped, and only words that name a command lead deeper. (`path` is PATH in zsh.) */
const walk = (nodes: readonly Node[], words: string): string => {
  const { taking } = valuesOf(nodes);
  return `  for word in ${words}; do
    if [[ -n $skip ]]; then skip=''; continue; fi
    case "$word" in
      --) return ;;
      ${taking.join('|')}) skip=1 ;;
      -*) ;;
      *) case "\${above:+$above }$word" in
        ${nodes
          .slice(1)
          .map(({ path }) => shellWord(path))
          .join('|')}) above="\${above:+$above }$word" ;;
      esac ;;
    esac
  done`;
};

const bash = (nodes: readonly Node[]): string => `# bash completion for dbkit
_dbkit() {
  local word above='' skip='' words='' flags='' current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
${walk(nodes, `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`)}
  if [[ -n $skip ]]; then
    case "$previous" in
${[...valuesOf(nodes).fixed].map(([flag, values]) => `      ${flag}) COMPREPLY=($(compgen -W '${values.join(' ')}' -- "$current")) ;;`).join('\n')}
    esac
    return
  fi
  case "$above" in
${nodes.map(({ path, words, flags }) => `    '${path}') words='${listed(words)}' flags='${listed(flags)}' ;;`).join('\n')}
  esac
  if [[ $current == -* ]]; then words=$flags; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _dbkit dbkit
`;

const described = (words: readonly Word[]): string =>
  words.map(({ word, about }) => shellWord(`${word}:${about.replaceAll(':', ' -')}`)).join(' ');

const zsh = (nodes: readonly Node[]): string => `#compdef dbkit
_dbkit() {
  local word above='' skip='' current="\${words[CURRENT]}" previous="\${words[CURRENT-1]}"
  local -a choices flags
${walk(nodes, `"\${(@)words[2,CURRENT-1]}"`)}
  if [[ -n $skip ]]; then
    case "$previous" in
${[...valuesOf(nodes).fixed].map(([flag, values]) => `      ${flag}) compadd -- ${values.join(' ')} ;;`).join('\n')}
      *) _files ;;
    esac
    return
  fi
  case "$above" in
${nodes.map(({ path, words, flags }) => `    '${path}') choices=(${described(words)}) flags=(${described(flags)}) ;;`).join('\n')}
  esac
  if [[ $current == -* ]]; then choices=("\${flags[@]}"); fi
  if (( \${#choices} )); then _describe dbkit choices; else _files; fi
}
if [[ $funcstack[1] == _dbkit ]]; then _dbkit "$@"; else compdef _dbkit dbkit; fi
`;

const fish = (nodes: readonly Node[]): string => {
  const { taking } = valuesOf(nodes);
  const at = ({ path }: Node): string => shellWord(`test (__dbkit_path) = "${path}"`);
  return [
    '# fish completion for dbkit',
    'function __dbkit_path',
    '  set -l path',
    '  set -l skip 0',
    '  for word in (commandline -opc)[2..-1]',
    '    if test $skip = 1; set skip 0; continue; end',
    '    switch $word',
    `      case ${taking.join(' ')}; set skip 1`,
    "      case '-*'",
    "      case '*'",
    "        set -l deeper (string join ' ' -- $path $word)",
    `        if contains -- $deeper ${nodes
      .slice(1)
      .map(({ path }) => shellWord(path))
      .join(' ')}; set path $path $word; end`,
    '    end',
    '  end',
    "  echo (string join ' ' -- $path)",
    'end',
    ...nodes.flatMap((node) => [
      ...(node.words.length > 0 ? [`complete -c dbkit -n ${at(node)} -f`] : []),
      ...node.words.map(({ word, about }) => `complete -c dbkit -n ${at(node)} -a ${word} -d ${shellWord(about)}`),
      ...node.flags.map(({ word, about, takesValue, values }) => {
        const value = values.length > 0 ? ` -x -a ${shellWord(values.join(' '))}` : takesValue ? ' -r' : '';
        return `complete -c dbkit -n ${at(node)} -l ${word.slice(2)}${value} -d ${shellWord(about)}`;
      }),
    ]),
    '',
  ].join('\n');
};

const scripts: Readonly<Record<'bash' | 'zsh' | 'fish', (nodes: readonly Node[]) => string>> = { bash, zsh, fish };

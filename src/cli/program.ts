import { Command, CommanderError } from 'commander';
import { DbkitError, failures, toFailure } from '../kernel/errors.ts';
import { exitWords } from '../kernel/exit-statuses.ts';
import { redact } from '../kernel/redact.ts';
import { type Cli, createCli, nameOf, type Surroundings } from './cli.ts';
import { commandNames, groupsFor } from './commands.ts';
import { beforeCommand, globalOptions } from './global-flags.ts';
import { globalsHint, grouped, withoutGlobals } from './help.ts';
import { failureDocument } from './output/report.ts';
import { registerOverview } from './overview.ts';

const LINE = 7; // So many of them fit in a line.
const EXIT_STATUSES = `\nExit status: ${exitWords.slice(0, LINE).join(', ')},\n${exitWords.slice(LINE).join(', ')}.`;

/** Parses, runs one command, and answers with the exit status. */
export async function runProgram(argv: readonly string[], given: Surroundings): Promise<number> {
  const surroundings = { ...given, terminal: discreet(given.terminal) };
  const cli = createCli(surroundings);
  const words = beforeCommand(argv, commandNames);
  const program = await createProgram(surroundings, (registered) => registerFor(words, registered, cli));
  try {
    await program.parseAsync(words, { from: 'user' });
    return cli.status();
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0) return 0;
    const message = thrown.code === 'commander.help' ? 'a command is missing' : thrown.message.replace(/^error: /, '');
    const failure = toFailure(
      new DbkitError('usage.invalid', message, { hint: '`dbkit --help` lists the commands, `dbkit COMMAND --help` their flags' }),
    );
    const own = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
    if (own.includes('--json')) surroundings.terminal.writeOut(failureDocument(nameOf(commandIn(program, own)), failure));
    return failures['usage.invalid'].exit;
  }
}

/** The commands that `words` may mean. */
async function registerFor(words: readonly string[], registered: Command, cli: Cli): Promise<void> {
  for (const { heading, commands } of groupsFor(words)) {
    const registers = await Promise.all(commands.map(({ load }) => load()));
    grouped(registered, heading, () => {
      for (const register of registers) register(registered, cli);
    });
  }
  registerOverview(registered, cli); // Last: commands inherit what their parent allows.
}

/** Whatever is printed, no secret is in it. */
const discreet = (terminal: Surroundings['terminal']): Surroundings['terminal'] => ({
  ...terminal,
  writeOut: (text) => terminal.writeOut(redact(text)),
  writeError: (text) => terminal.writeError(redact(text)),
});

/** The command that a faulty command line was meant for, as far as its words tell. */
function commandIn(program: Command, words: readonly string[]): Command {
  return words.reduce((command, word) => command.commands.find((child) => child.name() === word) ?? command, program);
}

async function createProgram({ version, terminal }: Surroundings, register: (program: Command) => Promise<void>): Promise<Command> {
  const program = new Command('dbkit')
    .description('keeps PostgreSQL alive, and never loses the data under it')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false) // Its own one knows `help options`.
    .configureOutput({
      writeOut: terminal.writeOut,
      writeErr: terminal.writeError,
      outputError: (text, write) => write(text.replace(/^error: /, 'dbkit: ')),
    })
    .showHelpAfterError('HINT: `dbkit --help` lists the commands, `dbkit COMMAND --help` their flags')
    .configureHelp(withoutGlobals)
    .addHelpText('after', globalsHint)
    .addHelpText('after', EXIT_STATUSES)
    .addHelpText(
      'after',
      '\nExamples:\n  dbkit entrypoint -- npm run dev\n  dbkit status --wait\n  dbkit recover --dry-run\n  dbkit backup list',
    )
    .exitOverride();
  for (const option of globalOptions()) program.addOption(option);
  await register(program);
  for (const command of everyCommand(program)) {
    command
      .exitOverride()
      .configureOutput(program.configureOutput())
      .showHelpAfterError('HINT: `dbkit COMMAND --help` lists its flags')
      .configureHelp(withoutGlobals);
    command.addHelpText('after', globalsHint).addHelpText('after', EXIT_STATUSES);
  }
  return program;
}

function everyCommand(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...everyCommand(child)]);
}

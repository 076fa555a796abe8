import { Command, CommanderError } from 'commander';
import { DbkitError, failures, toFailure } from '../kernel/errors.ts';
import { exitWords } from '../kernel/exit-statuses.ts';
import { redact } from '../kernel/redact.ts';
import { registerAdopt } from './adopt.ts';
import { registerAlert } from './alert.ts';
import { registerBackup } from './backup.ts';
import { type Cli, createCli, nameOf, type Surroundings } from './cli.ts';
import { registerCompletion } from './completion.ts';
import { registerConfig } from './config.ts';
import { registerCopiesOverview } from './copies-overview.ts';
import { registerDoctor } from './doctor.ts';
import { registerDrill } from './drill.ts';
import { registerEntrypoint } from './entrypoint.ts';
import { registerExplain } from './explain.ts';
import { beforeCommand, globalOptions } from './global-flags.ts';
import { registerHa } from './ha.ts';
import { registerHealth } from './health.ts';
import { globalsHint, grouped, registerHelp, withoutGlobals } from './help.ts';
import { registerHooks } from './hooks.ts';
import { registerInit } from './init.ts';
import { registerInspect } from './inspect.ts';
import { registerK8s } from './k8s.ts';
import { registerKeys } from './keys.ts';
import { registerMaintenance } from './maintenance.ts';
import { registerManual } from './manual.ts';
import { registerMonitor } from './monitor.ts';
import { failureDocument } from './output/report.ts';
import { registerOverview } from './overview.ts';
import { registerPull } from './pull.ts';
import { registerRecover } from './recover.ts';
import { registerReport } from './report.ts';
import { registerRunbook } from './runbook.ts';
import { registerSalvage } from './salvage.ts';
import { registerSeed } from './seed.ts';
import { registerServices } from './services.ts';
import { registerSnapshot } from './snapshot.ts';
import { registerSql } from './sql.ts';
import { registerStatus, registerWait } from './status.ts';
import { registerSystemd } from './systemd.ts';
import { registerRestorePoint, registerTimeline } from './timeline.ts';
import { registerUp } from './up.ts';
import { registerUpgrade } from './upgrade.ts';
import { registerWal } from './wal.ts';

const LINE = 7; // So many of them fit in a line.
const EXIT_STATUSES = `\nExit status: ${exitWords.slice(0, LINE).join(', ')},\n${exitWords.slice(LINE).join(', ')}.`;

/** Parses, runs one command, and answers with the exit status. */
export async function runProgram(argv: readonly string[], given: Surroundings): Promise<number> {
  const surroundings = { ...given, terminal: discreet(given.terminal) };
  const cli = createCli(surroundings);
  const program = createProgram(surroundings, (registered) => registerAll(registered, cli));
  try {
    const names = program.commands.map((command) => command.name());
    await program.parseAsync(beforeCommand(argv, names), { from: 'user' });
    return cli.status();
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0) return 0;
    const message = thrown.code === 'commander.help' ? 'a command is missing' : thrown.message.replace(/^error: /, '');
    const failure = toFailure(
      new DbkitError('usage.invalid', message, { hint: '`dbkit --help` lists the commands, `dbkit COMMAND --help` their flags' }),
    );
    const words = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
    if (words.includes('--json')) surroundings.terminal.writeOut(failureDocument(nameOf(commandIn(program, words)), failure));
    return failures['usage.invalid'].exit;
  }
}

/** Every command, in the order and the groups of the help. */
function registerAll(registered: Command, cli: Cli): void {
  grouped(registered, 'Every day:', () => {
    registerEntrypoint(registered, cli);
    registerUp(registered, cli);
    registerStatus(registered, cli);
    registerWait(registered, cli);
    registerSql(registered, cli);
    registerSnapshot(registered, cli);
    registerPull(registered, cli);
    registerSeed(registered, cli);
    registerServices(registered, cli);
  });
  grouped(registered, 'When it is broken:', () => {
    registerHealth(registered, cli);
    registerDoctor(registered, cli);
    registerRunbook(registered, cli);
    registerReport(registered, cli);
    registerInspect(registered, cli);
    registerRecover(registered, cli);
    registerExplain(registered, cli);
    registerSalvage(registered, cli);
  });
  grouped(registered, 'Backups:', () => {
    registerBackup(registered, cli);
    registerTimeline(registered, cli);
    registerRestorePoint(registered, cli);
    registerWal(registered, cli);
    registerDrill(registered, cli);
    registerCopiesOverview(registered, cli);
    registerKeys(registered, cli);
  });
  grouped(registered, 'Watch and upkeep:', () => {
    registerMonitor(registered, cli);
    registerAlert(registered, cli);
    registerMaintenance(registered, cli);
  });
  grouped(registered, 'Several machines:', () => {
    registerHa(registered, cli);
  });
  grouped(registered, 'Set-up:', () => {
    registerInit(registered, cli);
    registerAdopt(registered, cli);
    registerConfig(registered, cli);
    registerUpgrade(registered, cli);
    registerHooks(registered, cli);
    registerK8s(registered, cli);
    registerSystemd(registered, cli);
    registerCompletion(registered, cli);
    registerManual(registered, cli);
    registerHelp(registered);
  });
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

function createProgram({ version, terminal }: Surroundings, register: (program: Command) => void): Command {
  const program = new Command('dbkit')
    .description('keeps PostgreSQL alive, and never loses the data under it')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
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
  register(program);
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

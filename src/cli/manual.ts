import { type Command, Option } from 'commander';
import { environment } from '../config/environment.ts';
import { exitStatuses, signalStatus } from '../kernel/exit-statuses.ts';
import type { Cli } from './cli.ts';

/** Facts that a person has to know before the list of commands means anything. */
const ABOUT = `dbkit is a container's entry point, the backup tool, the health check, the watchman and the recovery hand of PostgreSQL. It looks at the
data directory, makes it startable in the least destructive way there is, starts PostgreSQL, proves that it answers, runs a command, and stops
everything cleanly. What it replaces it keeps; what it says goes to standard error, and standard output belongs to the report.`;

/** `health` speaks the dialect of monitoring tools. */
const dialect: Readonly<Record<string, string>> = { 1: '; `health`: warnings with --strict', 2: '; `health`: something is critical' };
const STATUSES: readonly (readonly [status: string, meaning: string])[] = [
  ...Object.entries(exitStatuses).map(([status, meaning]) => [status, `${meaning}${dialect[status] ?? ''}`] as const),
  ['3', '`health`: something could not be found out'] as const,
  [signalStatus.status, signalStatus.meaning] as const,
].toSorted(([a], [b]) => Number.parseInt(a, 10) - Number.parseInt(b, 10));

const FILES: readonly (readonly [path: string, meaning: string])[] = [
  ['dbkit.yaml', 'the configuration, found upward from the working directory; `dbkit config init` writes one'],
  ['/etc/dbkit/dbkit.yaml', 'the same, where none is found'],
  ['/etc/dbkit/services.d', 'init-* executables and JavaScript plugins (DBKIT_SERVICES_DIR)'],
  ['/var/lib/dbkit', 'status, inventory, control socket (DBKIT_STATE_DIR)'],
  ['/var/lib/postgresql-backup', 'backups, and data that was set aside (BACKUP_DIR)'],
];

/** Everything that is written about the program by the program: `npm run docs` puts the pages where they belong. */
const pages = {
  man: pageOf,
  commands: async (program: Command) => (await import('./pages.ts')).commandsPage(program),
  configuration: async () => (await import('./pages.ts')).configurationPage(),
  reasons: async () => (await import('./reasons-page.ts')).reasonsPage(),
} satisfies Record<string, (program: Command, version: string) => string | Promise<string>>;

export function registerManual(program: Command, cli: Cli): void {
  program
    .command('manual')
    .description('print the manual page, or a page of the documentation')
    .addOption(new Option('--page <name>', 'the page to print').choices(Object.keys(pages)).default('man'))
    .addHelpText(
      'after',
      '\nExamples:\n  dbkit manual | man -l -\n  dbkit manual > ~/.local/share/man/man1/dbkit.1\n  dbkit manual --page configuration',
    )
    .action(({ page: name }: { page: keyof typeof pages }, command: Command) =>
      cli.run(command, async ({ surroundings: { version } }) => {
        const page = await pages[name](program, version);
        return { report: { page }, text: () => page };
      }),
    );
}

/** man(7), made from the program itself, so that it cannot fall behind it. */
function pageOf(program: Command, version: string): string {
  return [
    `.TH DBKIT 1 "" "dbkit ${version}" "dbkit"`,
    section('NAME', `dbkit \\- ${roff(program.description())}`),
    section('SYNOPSIS', '.B dbkit', '.I COMMAND', '[\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]'),
    section('DESCRIPTION', roff(ABOUT)),
    section('COMMANDS', ...program.commands.flatMap(commandLines)),
    section('OPTIONS OF EVERY COMMAND', ...program.options.flatMap(optionLines)),
    section('EXIT STATUS', ...STATUSES.flatMap(entry), '.PP', roff('`dbkit entrypoint` passes on the status of its command.')),
    section(
      'ENVIRONMENT',
      roff(
        'Each may be given as NAME, or as NAME_FILE, the name of a file that holds the value. It wins over the file, and flags win over it.',
      ),
      ...Object.entries(environment).flatMap(([name, [path]]) => entry([name, path])),
      ...entry(['DBKIT_CONFIG', 'the configuration file']),
    ),
    section('FILES', ...FILES.flatMap(entry)),
    section('SEE ALSO', roff('postgres(1), pg_dump(1), pg_verifybackup(1), tini(1)')),
    '',
  ].join('\n');
}

const section = (title: string, ...lines: readonly string[]): string => [`.SH "${title}"`, ...lines].join('\n');

/** One command with its flags, and then those below it. */
function commandLines(command: Command): string[] {
  const listed = command.options.filter(({ hidden }) => !hidden);
  return [
    `.SS "${roff(`dbkit ${pathOf(command)} ${command.usage()}`)}"`,
    roff(sentence(command.description())),
    ...listed.flatMap(optionLines),
    ...command.commands.flatMap(commandLines),
  ];
}

const pathOf = (command: Command): string => (command.parent?.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name());

function optionLines({ flags, description, defaultValue, argChoices }: Option): string[] {
  const more = [
    ...(argChoices === undefined ? [] : [`one of ${argChoices.join(', ')}`]),
    ...(typeof defaultValue === 'string' || typeof defaultValue === 'number' ? [`default: ${defaultValue}`] : []),
  ];
  return entry([flags, more.length === 0 ? description : `${description} (${more.join('; ')})`]);
}

const entry = ([name, meaning]: readonly [name: string, meaning: string]): string[] => ['.TP', `.B ${roff(name)}`, roff(meaning)];

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** Text as roff takes it literally: no line may begin like a request, and a hyphen stays one that can be copied. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('’', "'")
    .replaceAll('"', '\\(dq')
    .replace(/^([.'])/gm, '\\&$1');

import type { Command, Option } from 'commander';
import { environment } from '../config/environment.ts';
import { settingsOf } from '../config/json-schema.ts';
import { settingMeanings } from '../config/meanings.ts';

const GENERATED = '<!-- Written by `npm run docs` from the program itself; change it there. -->';

/** docs/COMMANDS.md: every command with its flags, examples and exit statuses, as `--help` has them. */
export function commandsPage(program: Command): string {
  const leaves = program.commands.flatMap(runnable);
  return page(
    'Commands',
    'dbkit writes messages to stderr. stdout belongs to the report, or to your command. Every command takes the options at the end of this page.',
    ...leaves.map((command) => section(command)),
    '## Options of every command',
    optionTable(program.options),
  );
}

/** Commands that do something, in the order of the help; a noun that also acts by itself comes before its verbs. */
function runnable(command: Command): Command[] {
  const acts = command.commands.length === 0 || '_actionHandler' in command ? [command] : [];
  return [...acts, ...command.commands.flatMap(runnable)];
}

function section(command: Command): string {
  const options = command.options.filter(({ hidden }) => !hidden);
  const path = pathOf(command);
  return blocks(
    `## dbkit ${path}`,
    sentence(command.description()),
    `\`\`\`\ndbkit ${path} ${command.usage()}\n\`\`\``,
    ...(options.length > 0 ? [optionTable(options)] : []),
  );
}

const pathOf = (command: Command): string => (command.parent?.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name());
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
const blocks = (...parts: readonly string[]): string => parts.join('\n\n');
/** A page as it lies in docs/. */
export const page = (title: string, ...parts: readonly string[]): string => `${blocks(`# ${title}`, GENERATED, ...parts)}\n`;
/** A table in Markdown. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

const optionTable = (options: readonly Option[]): string =>
  table(
    ['option', 'meaning'],
    options.map(({ flags, description, defaultValue, argChoices }) => {
      const more = [
        ...(argChoices === undefined ? [] : [`one of ${argChoices.join(', ')}`]),
        ...(typeof defaultValue === 'string' || typeof defaultValue === 'number' ? [`default: ${defaultValue}`] : []),
      ];
      return [`\`${flags}\``, more.length === 0 ? description : `${description} (${more.join('; ')})`];
    }),
  );

/** docs/CONFIGURATION.md: environment variables and settings, from the tables that the program reads. */
export function configurationPage(): string {
  const settings = settingsOf();
  const defaultOf = new Map(settings.map((setting) => [setting.path, setting.default]));
  return page(
    'Configuration',
    'Defaults, then a file, then the environment, then flags: the later one wins. The file is `dbkit.yaml`, found upward from the working directory, else ' +
      '`/etc/dbkit/dbkit.yaml`, or the one that `--config` or DBKIT_CONFIG names. `dbkit config show --origin` says where each value comes from, `dbkit config check` ' +
      'names every mistake at once, `dbkit config init` writes a commented file, `dbkit config schema` prints a JSON Schema for editors.',
    '## Environment',
    'Each may be given as `NAME`, or as `NAME_FILE`, a file that holds the value; never both.',
    table(
      ['variable', 'setting', 'default', 'meaning'],
      Object.entries(environment).map(([name, [path]]) => [
        `\`${name}\``,
        `\`${path}\``,
        defaultOf.get(path) ?? '',
        settingMeanings[path] ?? '',
      ]),
    ),
    '## Settings',
    table(
      ['setting', 'values', 'default', 'meaning'],
      settings.map(({ path, values, default: given, meaning }) => [`\`${path}\``, values, given === '' ? '' : `\`${given}\``, meaning]),
    ),
  );
}

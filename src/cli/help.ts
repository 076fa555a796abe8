import { Argument, type Command, type HelpConfiguration } from 'commander';
import { DbkitError } from '../kernel/errors.ts';
import { globalOptions } from './global-flags.ts';
import { table } from './output/table.ts';

const isGlobal = new Set(globalOptions().map(({ long }) => long));

/** Options that every command takes would hide its own: one line says where they are. */
export const withoutGlobals: HelpConfiguration = {
  visibleOptions(command) {
    const own = [...command.options].filter(({ hidden, long }) => !hidden && (command.parent !== null || !isGlobal.has(long)));
    const help = command.createOption('-h, --help', 'print this help');
    return [...own, help];
  },
};

export const globalsHint = '\nEvery command takes --json, --quiet, --yes, --config FILE, --local and more: `dbkit help options`.';

/** Puts the commands that `register` adds under one heading of the help. */
export function grouped(program: Command, heading: string, register: () => void): void {
  const before = program.commands.length;
  register();
  for (const command of program.commands.slice(before)) command.helpGroup(heading);
}

export function registerHelp(program: Command): void {
  program
    .command('help')
    .description('the help of a command; `options` lists those that every command takes')
    .addArgument(new Argument('[words...]', 'a command, or options'))
    .addHelpText('after', '\nExamples:\n  dbkit help options\n  dbkit help backup restore')
    .action((words: string[]) => {
      const { writeOut } = program.configureOutput();
      if (words[0] === 'options') {
        writeOut?.(`${table(globalOptions().map(({ flags, description }) => [flags, description]))}\n`);
        return;
      }
      let command = program;
      for (const word of words) {
        const child = command.commands.find((one) => one.name() === word);
        if (child === undefined)
          throw new DbkitError('usage.invalid', `there is no command '${words.join(' ')}'`, { hint: '`dbkit --help` lists the commands' });
        command = child;
      }
      writeOut?.(command.helpInformation());
    });
}

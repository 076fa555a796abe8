import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import type { Cli } from '../../src/cli/cli.ts';
import { commandGroups, commandNames, groupsFor } from '../../src/cli/commands.ts';

const namesOf = (argv: readonly string[]): readonly string[] =>
  groupsFor(argv).flatMap(({ commands }) => commands.flatMap(({ names }) => names));

test.each(commandGroups.flatMap(({ commands }) => commands))(
  '$names: what is loaded registers these and no others',
  async ({ names, load }) => {
    const program = new Command();
    const register = await load();
    register(program, {} as Cli);
    expect(program.commands.map((command) => command.name())).toEqual(names);
  },
);

describe('a command line loads its own command, and all of them where it names none', () => {
  test.each([
    [['entrypoint', '--', 'npm', 'run', 'status'], ['entrypoint']],
    [['--json', 'health', '--strict'], ['health']],
    [['--config', 'status', 'backup', 'list'], ['backup']],
    [['--local', 'folder', 'sql', '-c', 'SELECT 1'], ['sql']],
    [
      ['--local=.dbkit', 'down'],
      ['up', 'down', 'restart'],
    ],
  ])('%j: %j', (argv, own) => expect(namesOf(argv)).toEqual(own));
  test.each([
    [[]],
    [['--help']],
    [['help', 'backup']],
    [['helth', 'status']],
    [['completion', 'bash']],
    [['--help', 'status']],
    [['-h', 'backup']],
    [['-q', '--help', 'backup', 'list']],
    [['--bogus', 'status']],
    [['manual']],
  ])('%j: all', (argv) => expect(namesOf(argv)).toEqual(commandNames));
});

import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { PullReport } from '../backups/pull/pull.ts';
import { type ColumnRule, readRules } from '../backups/pull/rules.ts';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import { counted, roughly } from '../kernel/units.ts';
import { readAsCaller } from '../machine/privileges.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

interface PullFlags {
  readonly database?: string;
  readonly as?: string;
  readonly excludeTableData?: readonly string[];
  readonly anonymise?: string;
  readonly trust?: true;
}

export function registerPull(program: Command, cli: Cli): void {
  program
    .command('pull')
    .description('copy a database of another server into this one, under a new name; nothing is ever written there')
    .argument('<from>', 'postgresql://USER@HOST/DATABASE, or the folder of another dbkit’s repository')
    .option(
      '--database <name>',
      'the database there (default: that of the URL, or the only one of the dump; of a base backup, the one named as here)',
    )
    .option('--as <name>', 'its name here (default: the same)')
    .option('--exclude-table-data <pattern...>', 'tables that come without their rows')
    .option('--anonymise <file>', 'rules for columns: null, hash, { fake: email } or { constant: VALUE }')
    .option('--trust', 'let a superuser run the SQL that is there, because you know who made it')
    .addHelpText(
      'after',
      '\nOf a folder the newest good dump is taken, or the newest base backup where there is none or rows are left out: its copy is started here on a private\nsocket, and archives nothing, so it takes --trust. Nobody sees the database here before it is whole and anonymised. A rule for a column that is not there ends it, and nothing stays.\n\nExamples:\n  dbkit pull postgresql://reader@staging/shop --as shop_staging\n  dbkit pull postgresql://reader@prod/shop --as shop_prod --exclude-table-data "audit*" --anonymise rules.yaml',
    )
    .action((from: string, flags: PullFlags, command: Command) =>
      cli.run(command, async ({ app: open, surroundings: { workingDirectory }, signal }) => {
        const rules = flags.anonymise === undefined ? [] : await rulesIn(resolve(workingDirectory, flags.anonymise));
        const app = await open();
        const wish = {
          from: /^postgres(ql)?:/.test(from) ? { server: await app.serverOf(from) } : { repository: resolve(workingDirectory, from) },
          database: flags.database,
          as: flags.as,
          excludeTableData: flags.excludeTableData ?? [],
          rules,
          isTrusted: flags.trust === true,
        };
        const report = await app.pulls.pull(wish, signal);
        return { report, text: (style) => pullView(report, style) };
      }),
    );
}

async function rulesIn(file: string): Promise<readonly ColumnRule[]> {
  const { default: yaml } = await import('yaml');
  let parsed: unknown;
  try {
    parsed = yaml.parse(readAsCaller(file));
  } catch (cause) {
    throw new DbkitError('usage.invalid', `${file} cannot be read (${errnoOf(cause) ?? wordsOf(cause).split('\n')[0]})`, {
      hint: 'name a YAML file of rules; nothing was changed',
      cause,
    });
  }
  return readRules(parsed, file);
}

export function pullView({ database, into, tables, rows, anonymised, missing, durationMs }: PullReport, style: Style): string {
  const done = `${style.good('pulled')} ${database} as ${into}: ${counted(tables, 'table')}, ${counted(rows, 'row')} in ${roughly(durationMs / 1000)}`;
  return [
    done,
    ...(anonymised.length === 0
      ? []
      : [table(anonymised.map(({ table: of, column, how, rows: count }) => [`${of}.${column}`, how, counted(count, 'row')]))]),
    ...missing.map(({ what, because }) => `restored differently: ${what}: ${because}`),
    ...(anonymised.length === 0 ? [] : ['the WAL of this server, and its archive, held the rows as they came']),
  ].join('\n');
}

import type { Command } from 'commander';
import { initConfig } from '../config/init.ts';
import { originWords } from '../config/origin.ts';
import { showConfig } from '../config/show.ts';
import type { Cli } from './cli.ts';
import { table } from './output/table.ts';

export function registerConfig(program: Command, cli: Cli): void {
  const config = program
    .command('config')
    .description('the configuration, and where it comes from')
    .addHelpText('after', '\nExample:\n  dbkit config show --origin');
  config
    .command('show')
    .description('print every setting')
    .option('--origin', 'also say where each value comes from')
    .addHelpText('after', '\nExample:\n  dbkit config show --origin')
    .action((flags: { origin?: boolean }, command: Command) =>
      cli.run(command, async ({ config: load }) => {
        const report = showConfig(await load());
        const rows = report.settings.map(({ path, value, origin }) => [path, printed(value), ...(flags.origin ? [origin] : [])]);
        return { report, text: () => table(rows) };
      }),
    );
  config
    .command('check')
    .description('check the configuration; every problem is reported at once')
    .addHelpText('after', '\nExample:\n  dbkit config check --config dbkit.yaml')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ config: load, flags }) => {
        const { origins } = await load();
        const sources = [
          ...new Set([...origins.values()].filter(({ kind }) => kind === 'file' || kind === 'secret-file').map(originWords)),
        ];
        return {
          report: { valid: true, sources },
          text: (style) =>
            style.good(`valid${flags.config ? `: ${flags.config}` : sources.length > 0 ? `: ${sources.join(', ')}` : ' (no file found)'}`),
        };
      }),
    );
  config
    .command('init')
    .description('write a commented dbkit.yaml')
    .argument('[file]', 'the file to write (default: dbkit.yaml)', 'dbkit.yaml')
    .addHelpText('after', '\nNever overwrites: answers 73 when the file exists.\n\nExample:\n  dbkit config init')
    .action((file: string, _flags: object, command: Command) =>
      cli.run(command, async ({ surroundings }) => {
        const report = await initConfig(surroundings.workingDirectory, file);
        return { report, text: () => `wrote ${report.path}` };
      }),
    );
  registerTrust(config, cli);
  config
    .command('schema')
    .description('print the JSON Schema of dbkit.yaml, for editors')
    .addHelpText('after', '\nExample:\n  dbkit config schema > dbkit.schema.json')
    .action((_flags: object, command: Command) =>
      cli.run(command, async () => {
        const { configJsonSchema } = await import('../config/json-schema.ts');
        const report = configJsonSchema();
        return { report, text: () => JSON.stringify(report, null, 2) };
      }),
    );
}

function registerTrust(config: Command, cli: Cli): void {
  config
    .command('trust')
    .description('allow a configuration file that others could have written, as it is now')
    .argument('<file>', 'the file, after you have looked at it')
    .option('--remove', 'no longer trust the file')
    .addHelpText(
      'after',
      '\nA file that somebody else may change is refused, and so is one of a repository that names programs. What you allow is what the file says\nnow: a change must be looked at again. The list is your own (~/.config/dbkit/trusted.json).\n\nExample:\n  dbkit config trust dbkit.yaml',
    )
    .action((file: string, flags: { remove?: boolean }, command: Command) =>
      cli.run(command, async ({ trust }) => {
        const report = await trust({ file, forget: flags.remove ?? false });
        return {
          report,
          text: () => (report.outcome === 'trusted' ? `trusted as it is now: ${report.path}` : `no longer trusted: ${report.path}`),
        };
      }),
    );
}

const printed = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

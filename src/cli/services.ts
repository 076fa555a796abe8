import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { table } from './output/table.ts';

export function registerServices(program: Command, cli: Cli): void {
  program
    .command('services')
    .description('list the configured services in start order')
    .addHelpText('after', '\nExample:\n  dbkit services --json')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app }) => {
        const report = await (await app()).supervisor.services();
        const rows = report.services.map(({ name, layer, state, dependsOn, onFail }) => [
          String(layer),
          name,
          state,
          dependsOn.join(', ') || '-',
          onFail,
        ]);
        const disabled = report.disabled.map((name) => ['-', name, 'disabled', '-', '-']);
        const scripts = report.initScripts.length > 0 ? `\n\non every start: ${report.initScripts.join(', ')}` : '';
        return { report, text: () => table([...rows, ...disabled], ['layer', 'service', 'state', 'depends on', 'on failure']) + scripts };
      }),
    );
}

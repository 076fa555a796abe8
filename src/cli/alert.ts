import type { Command } from 'commander';
import { DbkitError } from '../core/errors.ts';
import { testAlerts } from '../usecases/test-alerts.ts';
import type { Cli } from './cli.ts';

export function registerAlert(program: Command, cli: Cli): void {
  program
    .command('alert')
    .description('the channels through which people are told')
    .command('test')
    .description('send a harmless message through every channel')
    .option('--channel <name>', 'only this one')
    .addHelpText('after', '\nExamples:\n  dbkit alert test\n  dbkit alert test --channel oncall')
    .action(({ channel }: { channel?: string }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await testAlerts(await app(), channel, signal);
        const failed = report.channels.filter(({ ok }) => !ok);
        if (failed.length > 0 && channel !== undefined)
          throw new DbkitError('service.failed', failed[0]!.words, { hint: failed[0]!.hint ?? undefined });
        return {
          report,
          text: (style) => report.channels.map(({ name, ok, words }) => `${ok ? style.good(name) : style.bad(name)}: ${words}`).join('\n'),
          exit: failed.length > 0 ? 69 : 0,
        };
      }),
    );
}

import type { Command } from 'commander';
import { DbkitError } from '../core/errors.ts';
import { makeAlertSecret } from '../usecases/make-alert-secret.ts';
import { testAlerts } from '../usecases/test-alerts.ts';
import type { Cli } from './cli.ts';

export function registerAlert(program: Command, cli: Cli): void {
  const alert = program
    .command('alert')
    .description('the channels through which people are told')
    .addHelpText('after', '\nExample:\n  dbkit alert test');
  alert
    .command('setup')
    .description('bring the channels of this configuration to another place')
    .requiredOption('--to-secret [name]', 'print their secrets as a Kubernetes Secret (default name: dbkit-alerts)')
    .option('--namespace <name>', 'where it lives')
    .addHelpText(
      'after',
      '\n`dbkit k8s render` with the same configuration mounts it. It prints secrets: hand it on, and do not keep it.\n\nExample:\n  dbkit alert setup --to-secret | kubectl apply -f -',
    )
    .action(({ toSecret, namespace }: { toSecret: string | true; namespace?: string }, command: Command) =>
      cli.run(command, async ({ app }) => {
        const report = await makeAlertSecret(await app(), { name: toSecret === true ? 'dbkit-alerts' : toSecret, namespace });
        return { report, text: () => JSON.stringify(report, null, 2) };
      }),
    );
  alert
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

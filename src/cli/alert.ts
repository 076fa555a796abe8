import type { Command } from 'commander';
import type { SecretManifest } from '../alerts/make-secret.ts';
import type { AlertSetupReport } from '../alerts/setup.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Cli } from './cli.ts';
import { askSecret, askText, askYes, choose } from './output/prompt.ts';
import type { Style } from './output/style.ts';

export function registerAlert(program: Command, cli: Cli): void {
  const alert = program
    .command('alert')
    .description('the channels that alerts are sent to')
    .addHelpText('after', '\nExample:\n  dbkit alert test');
  alert
    .command('setup')
    .description('set a channel up: asks, sends a test, writes the configuration')
    .option('--to-secret [name]', 'do not ask; print the secrets of all channels as a Kubernetes Secret (default name: dbkit-alerts)')
    .option('--namespace <name>', 'the namespace of that Secret')
    .addHelpText(
      'after',
      '\nSecrets go into files of their own (0600); the configuration names them, and its comments stay. With --to-secret nothing is asked: `dbkit k8s\nrender` with the same configuration mounts what it prints, which is secret: hand it on, and do not keep it.\n\nExamples:\n  dbkit alert setup\n  dbkit alert setup --to-secret | kubectl apply -f -',
    )
    .action(({ toSecret, namespace }: { toSecret?: string | true; namespace?: string }, command: Command) =>
      cli.run<SecretManifest | AlertSetupReport>(command, async ({ app, signal, surroundings: { terminal, environment } }) => {
        if (toSecret !== undefined) {
          const report = await (await app({ asCaller: true })).alerts.makeSecret({
            name: toSecret === true ? 'dbkit-alerts' : toSecret,
            namespace,
          });
          return { report, text: () => JSON.stringify(report, null, 2) };
        }
        if (!terminal.stdin || !terminal.stderr || environment['CI'])
          throw new DbkitError('prompt.refused', 'there is no terminal to ask at', {
            hint: 'write alerts.channels into dbkit.yaml yourself; docs/guide/health-and-monitor.md shows how, and `dbkit alert test` tries it',
          });
        const asking = { text: askText, secret: askSecret, yes: askYes, choose, say: (words: string) => terminal.writeError(`${words}\n`) };
        const report = await (await app({ asCaller: true })).alerts.setup(asking, signal);
        return { report, text: (style) => setupView(report, style) };
      }),
    );
  alert
    .command('test')
    .description('send a harmless message through every channel')
    .option('--channel <name>', 'only this channel')
    .addHelpText('after', '\nExamples:\n  dbkit alert test\n  dbkit alert test --channel oncall')
    .action(({ channel }: { channel?: string }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).alerts.test(channel, signal);
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

const setupView = ({ channel, configFile, secretFiles, tested }: AlertSetupReport, style: Style): string =>
  [
    `${style.good(channel)} is in ${configFile}${tested ? '' : ', untested'}`,
    ...secretFiles.map((file) => `its secret is in ${file}`),
    'HINT: `dbkit alert test` tries every channel',
  ].join('\n');

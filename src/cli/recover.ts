import { type Command, Option } from 'commander';
import type { KnownDamage } from '../inspection/known-damage.ts';
import type { Strategy } from '../recovery/ladder-facts.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { Cli } from './cli.ts';
import { registerHistory } from './history.ts';
import { drawn } from './output/printable.ts';
import { confirm } from './output/prompt.ts';
import { acceptedView, recoverView } from './recovery-views.ts';

export function registerRecover(program: Command, cli: Cli): void {
  const recover = program
    .command('recover')
    .description('decide what to do about a broken instance, and do it')
    .option('-n, --dry-run', 'print the plan with the evidence; change nothing')
    .addOption(new Option('--strategy <rung>', 'take this rung of the ladder').choices(['repair', 'restore', 'reinitialize']))
    .addHelpText(
      'after',
      '\nNothing is deleted: what is replaced is set aside whole.\n\nExamples:\n  dbkit recover --dry-run\n  dbkit recover --strategy restore --yes',
    )
    .action((flags: { dryRun?: boolean; strategy?: Strategy }, command: Command) =>
      cli.run(command, async ({ app: open, flags: global, surroundings: { terminal, environment }, signal, style }) => {
        const app = await open();
        const mayAsk = terminal.stdin && terminal.stderr && !environment['CI'];
        const ask = async (plan: RecoveryReport): Promise<boolean> => {
          if (!global.yes && !global.json) terminal.writeError(`${drawn(style, (look) => recoverView(plan, look, true))}\n\n`);
          return confirm('Replace the data as planned?', { mayAsk, yes: global.yes ?? false });
        };
        const report = await app.recovery.recover({ dryRun: flags.dryRun ?? false, strategy: flags.strategy }, ask, signal);
        return { report, text: (look) => recoverView(report, look, flags.dryRun ?? false) };
      }),
    );
  recover
    .command('accept')
    .description('hear no more of the damage that is known: what is lost is given up')
    .addHelpText('after', '\nHealth is no longer critical for it, later backups count as good again, and older ones may expire.')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app: open, flags: global, surroundings: { terminal, environment }, signal }) => {
        const app = await open();
        const mayAsk = terminal.stdin && terminal.stderr && !environment['CI'];
        const ask = async (damage: readonly KnownDamage[]): Promise<boolean> => {
          if (!global.yes && !global.json) terminal.writeError(`${acceptedView(damage)}\n\n`);
          return confirm('Give up what is lost there?', { mayAsk, yes: global.yes ?? false });
        };
        const report = await app.recovery.accept(ask, signal);
        return { report, text: () => acceptedView(report.accepted) };
      }),
    );
  registerHistory(recover, cli);
}

import { type Command, Option } from 'commander';
import type { Strategy } from '../recovery/ladder.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { Cli } from './cli.ts';
import { registerHistory } from './history.ts';
import { drawn } from './output/printable.ts';
import { confirm } from './output/prompt.ts';
import { recoverView } from './recovery-views.ts';

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
  registerHistory(recover, cli);
}

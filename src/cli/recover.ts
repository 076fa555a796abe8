import { type Command, Option } from 'commander';
import type { RecoveryReport, Strategy } from '../core/contracts.ts';
import { confirm } from '../output/prompt.ts';
import type { Style } from '../output/style.ts';
import { table } from '../output/table.ts';
import { recoverInstance } from '../usecases/recover-instance.ts';
import type { Cli } from './cli.ts';

export function registerRecover(program: Command, cli: Cli): void {
  program
    .command('recover')
    .description('decide what to do about a broken instance, and do it')
    .option('-n, --dry-run', 'print the plan with the evidence, touch nothing')
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
          if (!global.yes && !global.json) terminal.writeError(`${recoverView(plan, style, true)}\n\n`);
          return confirm('Replace the data as planned?', { mayAsk, yes: global.yes ?? false });
        };
        const report = await recoverInstance(app, { dryRun: flags.dryRun ?? false, strategy: flags.strategy }, ask, signal);
        return { report, text: (look) => recoverView(report, look, flags.dryRun ?? false) };
      }),
    );
}

function recoverView(report: RecoveryReport, style: Style, plan: boolean): string {
  const parts = [`${plan ? 'would' : 'did'} ${style.strong(report.decision)}: ${report.because}`];
  if (report.findings.length > 0)
    parts.push(table(report.findings.map(({ severity, code, path, evidence }) => [severity, code, path, evidence])));
  if (report.steps.length > 0)
    parts.push(table(report.steps.map(({ step, because, done }) => [done ? style.good('done') : '-', step, because])));
  parts.push([`lost: ${report.lost}`, ...(report.quarantine ? [`old bytes: ${report.quarantine}`] : [])].join('\n'));
  return parts.join('\n\n');
}

import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { registerCopying } from './ha-copying.ts';
import { registerDrills } from './ha-drill.ts';
import { registerLocal } from './ha-local.ts';
import { registerMoves } from './ha-moves.ts';
import { registerClusterRestore } from './ha-restore.ts';
import { registerSetup } from './ha-setup.ts';
import { checkView, historyView, prospectsView, statusView } from './ha-views.ts';

const ASKS = `
The members are those of ha.members, so that it works with etcd gone. Nothing here elects or promotes: dbkit asks Patroni to, and believes only
what the servers say afterwards.`;

const exits = { ok: 0, warning: 0, critical: 2, unknown: 3 } as const;

/** `dbkit ha`: a cluster of several machines on Patroni. */
export function registerHa(program: Command, cli: Cli): void {
  const ha = program
    .command('ha')
    .description('show a cluster on Patroni, and move its leader')
    .addHelpText('after', `${ASKS}\n\nExamples:\n  dbkit ha status\n  dbkit ha check\n  dbkit ha why-not n2`);
  registerQuestions(ha, cli);
  registerMoves(ha, cli);
  registerSetup(ha, cli);
  registerLocal(ha, cli);
  registerDrills(ha, cli);
  registerCopying(ha, cli);
  registerClusterRestore(ha, cli);
}

function registerQuestions(ha: Command, cli: Cli): void {
  ha.command('status')
    .description('show the leader, the followers, their lag, and what is wrong')
    .addHelpText(
      'after',
      '\nIt changes one thing: where the time of `dbkit ha pause --for` is over, it turns automatic failover on.\n\nExamples:\n  dbkit ha status\n  dbkit ha status --json',
    )
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).cluster.status(signal);
        return { report, text: (style) => statusView(report, style) };
      }),
    );
  ha.command('check')
    .description('the same for monitoring, with a commit through the write address')
    .option('--strict', 'warnings fail')
    .addHelpText(
      'after',
      '\nAnswers 0 when all is well or only warned of, 1 for a warning with --strict, 2 when something is critical, 3 when nobody can tell.\n\nExample:\n  dbkit ha check --strict',
    )
    .action((flags: { readonly strict?: boolean }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).cluster.check(signal);
        return { report, text: (style) => checkView(report, style), exit: exitOf(report.status, flags) };
      }),
    );
  ha.command('why-not')
    .argument('[member]', 'only this member')
    .description('show who would take over if the leader died now, and why the others would not')
    .addHelpText('after', '\nExamples:\n  dbkit ha why-not\n  dbkit ha why-not n2')
    .action((member: string | undefined, _flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).cluster.whyNot(member, signal);
        return { report, text: (style) => prospectsView(report, style) };
      }),
    );
  ha.command('history')
    .description('list every change of leader, newest first')
    .addHelpText('after', '\nExample:\n  dbkit ha history')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).cluster.history(signal);
        return { report, text: (style) => historyView(report, style) };
      }),
    );
}

const exitOf = (status: keyof typeof exits, { strict }: { readonly strict?: boolean }): number =>
  status === 'warning' && strict ? 1 : exits[status];

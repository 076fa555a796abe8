import { type Command, Option } from 'commander';
import type { ServingReport } from '../backups/base/points/serving.ts';
import { failures } from '../kernel/errors.ts';
import { timelineArgument } from './arguments.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

const READS = `
The backup that serves a moment is the newest good one that ended before it. All WAL from there to the moment is read.
Answers 77 where none serves, and says which moments can be restored.`;

/** `backup find`: which base backup serves a moment. */
export function registerFind(backup: Command, cli: Cli): void {
  backup
    .command('find')
    .description('find the base backup that serves a moment, and say why the others do not')
    .requiredOption(
      '--before <moment>',
      'a time (the server’s zone unless it says one), `latest`, or a statement such as "drop table NAME"',
    )
    .addOption(
      new Option('--timeline <number>', 'a moment of this timeline (default: the one that the data is on)').argParser(timelineArgument),
    )
    .addHelpText('after', READS)
    .addHelpText('after', '\nExamples:\n  dbkit backup find --before "2026-01-13 10:00"\n  dbkit backup find --before "drop table orders"')
    .action(({ before, timeline }: { before: string; timeline?: number }, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const isStatement = /^(drop|truncate|delete)\s/i.test(before.trim());
        const named = isStatement ? { before } : { to: before };
        const point = (await app.restore.point({ ...named, exclusive: true, timeline: timeline?.toString() }, signal))!;
        const report = await app.restore.serving(point, signal);
        return {
          report,
          text: (style) => servingView(report, style),
          exit: report.plan === null ? failures['recovery.refused'].exit : 0,
        };
      }),
    );
}

/** Pure. */
export function servingView({ plan, refused, backups }: ServingReport, style: Style): string {
  const head =
    plan === null
      ? style.bad(refused ?? 'no base backup serves that moment')
      : `${style.good(plan.label)} serves it: \`dbkit backup restore\` with this moment takes it, ${plan.because}`;
  const rows = backups.map(({ label, serves, because, createdAt }) => [
    serves ? style.good('serves') : style.dim('no'),
    label,
    createdAt,
    because,
  ]);
  return `${head}\n\n${table(rows, ['', 'label', 'made', 'why'].map(style.dim))}`;
}

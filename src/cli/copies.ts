import type { Command } from 'commander';
import type { DrillReport } from '../backups/drill.ts';
import { damages } from '../backups/drill.ts';
import { judgedBy, tiers } from '../config/tiers.ts';
import { duration } from '../kernel/units.ts';
import type { Cli } from './cli.ts';
import { judgedWords } from './incident.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

/** `backup open` and `backup drill`: copies that are gone afterwards. */
export function registerCopies(backup: Command, cli: Cli): void {
  backup
    .command('open')
    .description('open a backup: a throw-away copy on a private socket, psql by default')
    .argument('<label>', 'its label; `latest` is the newest good backup')
    .argument('[cmd...]', 'a command to run against it instead; PGHOST, PGPORT, PGUSER and PGDATABASE lead there')
    .addHelpText(
      'after',
      '\nPasses on its command’s status. The instance is not touched, and the copy is gone afterwards.\n\nExamples:\n  dbkit backup open latest\n  dbkit backup open latest -- pg_dump --table orders --file orders.sql',
    )
    .action((label: string, words: string[], _flags: object, command: Command) =>
      cli.run(
        command,
        async ({ app }) => {
          const report = await (await app()).restore.open({ label, command: words });
          return { report, text: () => '', exit: report.exitStatus };
        },
        { ownSignals: true, silentText: true },
      ),
    );
  backup
    .command('drill')
    .description('rehearse a restore: copy, start, ask every database, measure')
    .argument('[label]', 'which', 'latest')
    .addHelpText(
      'after',
      '\nRuns pg_amcheck where it is installed and the assertions of dbkit.yaml (drill.assertions: queries that answer true). A backup that passes is\n`proven` in the list. 65 when the backup is damaged, 1 when only an assertion fails. The instance is not touched.\n\nExample:\n  dbkit backup drill',
    )
    .action((label: string, _flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const dbkit = await app();
        const report = await dbkit.restore.copies.drill(await dbkit.backups.find(label, signal), signal);
        const { tier } = dbkit.config;
        const targets = tier === undefined ? undefined : tiers[tier];
        const judged = { rto: judgedBy(report.rtoMs / 1000, targets?.rtoSeconds ?? null) }; // What the WAL since would give back is not tried.
        const told = tier === undefined ? '' : `\ntier ${tier}: RTO ${judgedWords(judged.rto)}`;
        return {
          report: { ...report, tier: tier ?? null, judged },
          text: (style) => `${drillView(report, style)}${told}`,
          exit: report.ok ? 0 : damages(report) ? 65 : 1,
        };
      }),
    );
}

export function drillView(report: DrillReport, style: Style): string {
  const looks = { passed: style.good, failed: style.bad, skipped: style.dim };
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const rows = report.checks.map(({ name, outcome, because, durationMs }) => [
    looks[outcome](outcome),
    name,
    because ?? seconds(durationMs),
  ]);
  const verdict = report.ok
    ? `${style.good('proven')}: ${style.strong(report.label)} restores, starts, and its ${report.databases} databases answer`
    : `${style.bad('not proven')}: ${style.strong(report.label)}`;
  const lost = duration(report.rpoMs / 1000);
  return [
    verdict,
    table(rows),
    `RTO ${seconds(report.rtoMs)} (${seconds(report.restoreMs)} to restore, ${seconds(report.startMs)} to start)`,
    `RPO ${lost} if the data’s volume is lost; ${report.rollsForward ? 'nothing as long as its pg_wal can be read' : 'not all of the WAL since is in its pg_wal'}`,
  ].join('\n');
}

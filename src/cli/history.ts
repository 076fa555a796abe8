import { type Command, InvalidArgumentError } from 'commander';
import { duration, moment } from '../kernel/units.ts';
import { howMuch } from '../recovery/losses.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { Cli } from './cli.ts';
import { incidentView } from './incident.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { evidence } from './recovery-views.ts';

export const askers: Record<NonNullable<RecoveryReport['trigger']>, string> = {
  start: 'a start',
  person: 'a person',
  monitor: 'the monitor',
};

/** `recover history` and `recover show`: what happened, and what was done. */
export function registerHistory(recover: Command, cli: Cli): void {
  recover
    .command('history')
    .description('list every recovery of this instance, newest first')
    .action((_flags, command: Command) =>
      cli.run(command, async ({ app: open }) => {
        const report = await (await open()).recovery.history();
        return { report, text: () => historyView(report.recoveries) };
      }),
    );
  recover
    .command('report')
    .option('--incident <number>', 'its number in `recover history`; 1 is the newest', wholeNumber, 1)
    .description('write the report of one recovery in Markdown: RTO and RPO against the tier, who, why, what was lost')
    .addHelpText('after', '\nExamples:\n  dbkit recover report > incident.md\n  dbkit recover report --incident 2 --json')
    .action(({ incident }: { incident: number }, command: Command) =>
      cli.run(command, async ({ app: open }) => {
        const report = await (await open()).recovery.incident(incident);
        return { report, text: () => incidentView(report) };
      }),
    );
  recover
    .command('show')
    .argument('[number]', 'its number in `recover history`; 1 is the newest', wholeNumber, 1)
    .description('show one recovery: when, why, the evidence, the steps, what was lost, how long it took')
    .action((number: number, _flags, command: Command) =>
      cli.run(command, async ({ app: open }) => {
        const report = await (await open()).recovery.show(number);
        return { report, text: (style) => recoveryView(report, style) };
      }),
    );
}

const lossWords = { nothing: 'nothing lost', unknown: 'not known', something: 'loss' } as const;

function historyView(reports: readonly (RecoveryReport & { readonly number: number })[]): string {
  if (reports.length === 0) return 'nothing had to be recovered here yet';
  const rows = reports.map((report) => [
    String(report.number),
    moment(report.at),
    report.decision,
    report.trigger ? askers[report.trigger] : '',
    downFor(report) ?? '',
    lossWords[howMuch(report.losses)],
    report.because,
  ]);
  return table(rows, ['', 'WHEN', 'DID', 'ASKED BY', 'TOOK', 'LOST', 'BECAUSE']);
}

function recoveryView(report: RecoveryReport, style: Style): string {
  const took = downFor(report);
  const rows = [
    ['when', moment(report.at)],
    ...(report.trigger ? [['asked by', askers[report.trigger]]] : []),
    ['did', style.strong(report.decision)],
    ['because', report.because],
    ['decided and done in', duration(report.durationMs / 1000)],
    ['until it answered (RTO)', took ?? 'it has not answered after it'],
    ['lost (RPO)', report.lost],
    ...(report.quarantine ? [['old bytes', report.quarantine]] : []),
  ];
  return [table(rows), ...evidence(report, style)].join('\n\n');
}

/** From the first look at the data until the server answered. */
function downFor({ at, durationMs, readyAt }: RecoveryReport): string | undefined {
  return readyAt === undefined ? undefined : duration((Date.parse(readyAt) - Date.parse(at) + durationMs) / 1000);
}

export function wholeNumber(word: string): number {
  if (!/^[1-9]\d*$/.test(word)) throw new InvalidArgumentError('a number of `dbkit recover history` is wanted: 1 is the last');
  return Number(word);
}

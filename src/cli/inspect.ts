import type { Command } from 'commander';
import type { InspectionReport } from '../inspection/report.ts';
import { bytes } from '../kernel/units.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { findingRows } from './recovery-views.ts';

export function registerInspect(program: Command, cli: Cli): void {
  program
    .command('inspect')
    .description('look at the data directory without touching it')
    .option('--deep', 'also read every page and verify its checksum')
    .addHelpText(
      'after',
      '\nAnswers 0 when nothing is wrong or PostgreSQL mends it itself, 65 when something is damaged.\n\nExamples:\n  dbkit inspect\n  dbkit inspect --deep --json',
    )
    .action((flags: { deep?: boolean }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).inspect({ deep: flags.deep ?? false }, signal);
        return { report, text: (style) => inspectView(report, style), exit: isDamaged(report) ? 65 : 0 };
      }),
    );
}

export const isDamaged = ({ findings }: InspectionReport): boolean =>
  findings.some(({ severity, code }) => severity === 'certain' && code !== 'server.running' && code !== 'data.empty');

export function inspectView(report: InspectionReport, style: Style): string {
  const looks = { info: style.dim, suspect: style.warn, certain: style.bad };
  const facts: [string, string][] = [
    ['data directory', report.dataDir],
    ['state', report.clusterState ?? report.state],
    ['major', report.major === null ? 'unknown' : String(report.major)],
    ['system identifier', report.systemIdentifier ?? 'unknown'],
    ['checksums', report.checksums === null ? 'unknown' : report.checksums ? 'on' : 'off'],
    [
      'shutdown inventory',
      { match: 'matches: nothing has changed since', differs: 'differs', void: 'void: the server has run since', none: 'none' }[
        report.inventory
      ],
    ],
    ['files', `${report.files}, ${bytes(report.sizeBytes)}`],
  ];
  if (report.deep) facts.push(['pages', `${report.deep.pages} read, ${report.deep.damaged} damaged`]);
  const findings = findingRows(report.findings, ({ severity }) => looks[severity](severity));
  const harmless = report.findings.every(({ severity }) => severity === 'info');
  const verdict = [
    ...(findings.length > 0 ? [table(findings)] : []),
    harmless ? style.good('nothing is wrong') : '`dbkit recover --dry-run` shows what would be done',
  ].join('\n\n');
  return `${table(facts)}\n\n${verdict}`;
}

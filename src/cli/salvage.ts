import type { Command } from 'commander';
import { duration } from '../kernel/units.ts';
import type { SalvageReport } from '../salvage/report.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

export function registerSalvage(program: Command, cli: Cli): void {
  program
    .command('salvage')
    .description('save what is still readable in damaged data as a dump')
    .argument('[directory]', 'the damaged data; default: the newest that was set aside, else the stopped instance')
    .addHelpText(
      'after',
      '\nWorks on a copy: the damaged data is only read, and the instance may run meanwhile. Damaged pages are read as empty, damaged indexes are\nnot asked. 65 when not even a copy can be made to serve.\n\nExamples:\n  dbkit salvage\n  dbkit backup restore dump_20261121_080000 --database app --into app_salvaged',
    )
    .action((directory: string | undefined, _flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).salvage(directory, signal);
        return { report, text: (style) => salvageView(report, style) };
      }),
    );
}

export function salvageView(report: SalvageReport, style: Style): string {
  const { tables, label, databases } = report;
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const harmed = tables.filter(({ rowsLost, pagesLost, because }) => rowsLost > 0 || pagesLost > 0 || because !== null);
  const isWhole = report.unreachable.length + report.assumptions.length === 0;
  const parts = [
    `${style.strong(label)} holds ${rows} rows of ${tables.length} tables that could be read, after ${duration(report.durationMs / 1000)}`,
    harmed.length > 0 ? harmView(harmed, style) : isWhole ? 'every row of every table could be read' : '',
    ...report.unreachable.map(({ database, words }) => `${style.bad('not read')}: database ${database}: ${words}`),
    list('to read it, this was assumed', report.assumptions),
    list('constraints', report.constraints),
    `the damaged data is as it was: ${report.source}`,
    `HINT: \`dbkit backup restore ${label} --database ${databases[0]} --into NEW\` loads it beside what is there`,
  ];
  return parts.filter(Boolean).join('\n\n');
}

const harmView = (tables: SalvageReport['tables'], style: Style): string =>
  table(
    tables.map(({ database, table: name, rows, rowsLost, pagesLost, because }) => [
      `${database}: ${name}`,
      String(rows),
      rowsLost > 0 ? style.bad(String(rowsLost)) : '0',
      pagesLost > 0 ? style.bad(String(pagesLost)) : '0',
      because?.split('\n')[0] ?? '',
    ]),
    ['TABLE', 'ROWS SAVED', 'ROWS LOST', 'PAGES LOST', 'BECAUSE'],
  );

const list = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`;

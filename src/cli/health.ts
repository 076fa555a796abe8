import { type Command, Option } from 'commander';
import { type HealthFormat, healthFormats, tally } from '../health/formats.ts';
import { exitOf, type HealthReport } from '../health/health.ts';
import type { ProbeStatus } from '../health/probe.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { secondsFlag } from './up.ts';

interface HealthFlags {
  readonly probe?: readonly string[];
  readonly strict?: boolean;
  readonly format?: HealthFormat;
  readonly wait?: boolean;
  readonly timeout: number;
}

const STATUSES = `
Answers 0 when all is well, or there are only warnings; 1 for warnings with --strict (and always with --format nagios); 2 when something is
critical; 3 when something could not be found out. What is skipped does not count.`;

/** `dbkit health`, and the same below `maintenance`. */
export function registerHealth(parent: Command, cli: Cli, name: 'health' | 'maintenance health' = 'health'): void {
  parent
    .command('health')
    .description('check the server, its data and its machine')
    .option('--probe <names...>', 'only these probes')
    .option('--strict', 'warnings fail')
    .addOption(new Option('--format <format>', 'the output format for another program').choices(Object.keys(healthFormats)))
    .option('-w, --wait', 'repeat until nothing is critical or unknown')
    .option('--timeout <seconds>', 'how long --wait waits', secondsFlag, 60)
    .addHelpText('after', STATUSES)
    .addHelpText(
      'after',
      `\nExamples:\n  dbkit ${name}\n  dbkit ${name} --probe connection write --strict\n  dbkit ${name} --format prometheus > dbkit.prom`,
    )
    .action((flags: HealthFlags, command: Command) =>
      cli.run(command, async ({ app: open, flags: { json }, signal }) => {
        const { format } = flags;
        if (json && format)
          throw new DbkitError('usage.invalid', '--json and --format exclude each other', { hint: 'use only one of them' });
        const request = { only: (flags.probe ?? []).flatMap((names) => names.split(',').filter(Boolean)) };
        const app = await open();
        const report = flags.wait ? await app.health.wait(request, flags.timeout * 1000, signal) : await app.health.check(request, signal);
        const strict = flags.strict ?? false;
        const said = format && (await healthFormats[format](report, { strict }));
        return {
          report,
          text: (style) => said ?? healthView(report, style),
          exit: exitOf(report.status, { strict: strict || format === 'nagios' }),
        };
      }),
    );
}

const looks: Record<ProbeStatus, keyof Style> = { ok: 'good', warning: 'warn', critical: 'bad', unknown: 'warn', skipped: 'dim' };
const loud: Record<ProbeStatus, string> = { ok: 'ok', warning: 'warning', critical: 'CRITICAL', unknown: 'UNKNOWN', skipped: 'skipped' };
const verdicts = { ok: 'healthy', warning: 'healthy, with warnings', critical: 'not healthy', unknown: 'nobody can tell' };

/** A line for each answer, what was not asked and why, what to do about it, and the verdict last, where the eye rests. */
export function healthView(report: HealthReport, style: Style): string {
  const asked = report.probes.filter(({ status }) => status !== 'skipped');
  const rows = asked.map(({ name, status, summary }) => [style[looks[status]](loud[status]), name, summary]);
  const reasons = new Map<string, string[]>();
  for (const { name, status, summary } of report.probes)
    if (status === 'skipped') reasons.set(summary, [...(reasons.get(summary) ?? []), name]);
  const hints = asked.flatMap(({ name, hint, status }) => (hint === null || status === 'ok' ? [] : [`HINT: ${name}: ${hint}`]));
  const counts = tally(report.probes);
  const told = (['critical', 'unknown', 'warning', 'ok', 'skipped'] as const).flatMap((status) =>
    counts[status] > 0 ? [`${counts[status]} ${status}`] : [],
  );
  const parts = [
    table(rows),
    [...reasons].map(([why, names]) => style.dim(`skipped ${names.join(', ')}: ${why}`)).join('\n'),
    hints.join('\n'),
    `${style[looks[report.status]](verdicts[report.status])}: ${told.join(', ') || 'no probes'} (${(report.durationMs / 1000).toFixed(2)} s)`,
  ];
  return parts.filter(Boolean).join('\n\n');
}

import type { Command } from 'commander';
import type { DoctorReport } from '../supervisor/doctor/doctor.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

/** `dbkit doctor`: what would fail tonight, each with the command that mends it. */
export function registerDoctor(program: Command, cli: Cli): void {
  program
    .command('doctor')
    .description('say what would fail tonight, and the command that mends it')
    .addHelpText(
      'after',
      '\nAsks everything that `dbkit health` asks, and what no probe asks: who starts the server again, who is told, whether one disk holds data and\nbackups, when a backup was restored last. Changes nothing. 0: nothing, or only warnings; 1: something is critical.\n\nExample:\n  dbkit doctor',
    )
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const report = await (await open()).supervisor.doctor(signal);
        return { report, text: (style) => doctorView(report, style), exit: report.complaints.some(isCritical) ? 1 : 0 };
      }),
    );
}

const isCritical = ({ severity }: DoctorReport['complaints'][number]): boolean => severity === 'critical';

function doctorView({ complaints, asked }: DoctorReport, style: Style): string {
  if (complaints.length === 0) return style.good(`nothing would fail tonight: ${asked} questions were asked`);
  const rows = complaints.map(({ severity, words }, index) => [
    `${index + 1}`,
    severity === 'critical' ? style.bad('CRITICAL') : style.warn('warning'),
    words,
  ]);
  const hints = complaints.flatMap(({ next }, index) => (next === null ? [] : [`HINT: ${index + 1}: ${next}`]));
  const critical = complaints.filter(isCritical).length;
  const verdict = `${critical} critical, ${complaints.length - critical} to mend by day; ${asked} questions were asked`;
  return [table(rows), hints.join('\n'), critical > 0 ? style.bad(verdict) : style.warn(verdict)].join('\n\n');
}

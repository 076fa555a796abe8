import type { Command } from 'commander';
import { bytes, counted, duration } from '../kernel/units.ts';
import type { ChoreReport, ChoreStep, LogsPruned } from '../upkeep/contract.ts';
import type { Chore, Need } from '../upkeep/needs.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

interface ChoreFlags {
  readonly database?: string;
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

const about: Record<Chore, string> = {
  vacuum: 'make room of dead rows, and renew the statistics',
  analyze: 'renew the planner’s statistics',
  reindex: 'rebuild invalid and bloated indexes, CONCURRENTLY',
};

const SAFE = `
Safe on a busy server: nobody is kept from reading or writing, a lock is waited for no longer than maintenance.lockTimeoutSeconds, and a vacuum goes
at autovacuum's pace. Without a table it does what needs it; \`dbkit maintenance\` lists that.`;

/** Work that PostgreSQL leaves to a person, below `dbkit maintenance`; alone, that lists what would help. */
export function registerUpkeep(maintenance: Command, cli: Cli): void {
  maintenance.option('--database <name>', 'only this database').action((flags: ChoreFlags, command: Command) =>
    cli.run(command, async ({ app, signal }) => {
      const report = { needs: await (await app()).upkeep.needs(flags.database, signal) };
      return { report, text: (style) => needsView(report.needs, style) };
    }),
  );
  for (const chore of ['vacuum', 'analyze', 'reindex'] as const) {
    maintenance
      .command(chore)
      .description(about[chore])
      .argument('[table...]', 'schema.table; none: what needs it')
      .option('--database <name>', 'only in this database')
      .option('--all', 'every table, also those that do not need it')
      .option('-n, --dry-run', 'only say what would be done, and why')
      .addHelpText('after', SAFE)
      .addHelpText(
        'after',
        `\nExamples:\n  dbkit maintenance ${chore} --dry-run\n  dbkit maintenance ${chore} public.orders --database shop`,
      )
      .action((tables: string[], flags: ChoreFlags, command: Command) =>
        cli.run(command, async ({ app, signal }) => {
          const { database } = command.optsWithGlobals<ChoreFlags>(); // `maintenance --database X` names it too.
          const wish = { chore, tables, all: flags.all ?? false, database, dryRun: flags.dryRun ?? false };
          const report = { chore, dryRun: wish.dryRun, steps: await (await app()).upkeep.run(wish, signal) };
          return { report, text: (style) => choreView(report, style) };
        }),
      );
  }
  maintenance
    .command('checkpoint')
    .description('run CHECKPOINT now, so that the recovery after a crash is short')
    .addHelpText('after', '\nExample:\n  dbkit maintenance checkpoint')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).upkeep.checkpoint(signal);
        return {
          report,
          text: () => `checkpoint in ${seconds(report.durationMs)}; ${bytes(report.walBytes)} of WAL need no replay any more`,
        };
      }),
    );
  maintenance
    .command('logs')
    .description('remove old logs by age and size (maintenance.logs)')
    .option('-n, --dry-run', 'only say what would be removed, and why')
    .addHelpText('after', '\nExample:\n  dbkit maintenance logs --dry-run')
    .action((flags: ChoreFlags, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const dryRun = flags.dryRun ?? false;
        const report = await (await app()).upkeep.pruneLogs({ dryRun }, signal);
        return { report, text: (style) => logsView(report, dryRun, style) };
      }),
    );
}

const seconds = (milliseconds: number): string =>
  milliseconds < 10_000 ? `${(milliseconds / 1000).toFixed(1)} s` : duration(milliseconds / 1000);

function needsView(needs: readonly Need[], style: Style): string {
  if (needs.length === 0) return 'nothing needs a hand: autovacuum keeps up, and every index is valid';
  const rows = needs.map(({ chore, database, target, benefitBytes, because }) => [
    chore,
    bytes(benefitBytes),
    `${database}: ${target}`,
    because,
  ]);
  const chores = [...new Set(needs.map(({ chore }) => chore))].map((chore) => `\`dbkit maintenance ${chore}\``);
  return `${table(rows, ['chore', 'benefit', 'what', 'because'].map(style.dim))}\n\n${chores.join(', then ')} would do it`;
}

function choreView({ steps, dryRun, chore }: ChoreReport, style: Style): string {
  if (steps.length === 0)
    return `nothing needs ${chore === 'analyze' ? 'to be analyzed' : chore === 'vacuum' ? 'a vacuum' : 'to be rebuilt'}`;
  if (dryRun) return table(steps.map(({ statement, database, because }) => [`${database}:`, `${statement};`, style.dim(because)]));
  const words = ({ outcome, why, durationMs, freedBytes }: ChoreStep): string =>
    outcome === 'skipped'
      ? style.warn(`skipped: ${why}`)
      : `in ${seconds(durationMs)}${freedBytes > 0 ? `, ${bytes(freedBytes)} freed` : ''}`;
  const rows = steps.map((step) => [
    step.outcome === 'done' ? style.good('done') : style.warn('--'),
    `${step.database}: ${step.target}`,
    words(step),
  ]);
  return table(rows);
}

function logsView({ folder, decisions }: LogsPruned, dryRun: boolean, style: Style): string {
  const going = decisions.filter(({ action }) => action !== 'keep');
  if (going.length === 0) return `${counted(decisions.length, 'log')} in ${folder}: none is too old or too large`;
  const verbs = dryRun ? { remove: 'would remove', rotate: 'would rotate', keep: '' } : { remove: 'removed', rotate: 'rotated', keep: '' };
  return table(
    going.map(({ action, name, sizeBytes, because }) => [verbs[action], `${folder}/${name}`, bytes(sizeBytes), style.dim(because)]),
  );
}

import type { Command } from 'commander';
import { type InitReport, pathOf } from '../homes/devcontainer/init.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

export function registerInit(program: Command, cli: Cli): void {
  program
    .command('init')
    .description('set dbkit up in a project')
    .addHelpText('after', '\nExample:\n  dbkit init devcontainer')
    .command('devcontainer')
    .description('write a dev container whose database dbkit keeps alive')
    .option('--compose', 'use a compose file')
    .option('--dry-run', 'say what would be written, and write nothing')
    .addHelpText(
      'after',
      '\nMerges into a devcontainer.json that is there, comments preserved. Settings that would change take --yes (else 73).\n\nExamples:\n  dbkit init devcontainer --dry-run\n  dbkit init devcontainer',
    )
    .action((flags: { compose?: boolean; dryRun?: boolean }, command: Command) =>
      cli.run(command, async ({ app, flags: { yes }, surroundings, signal }) => {
        const report = await (await app({ asCaller: true })).homes.initDevcontainer(
          {
            directory: surroundings.workingDirectory,
            dryRun: flags.dryRun === true,
            mayChange: yes === true,
            compose: flags.compose === true,
          },
          signal,
        );
        return { report, text: (style) => initView(report, style) };
      }),
    );
}

export function initView({ outcome, files, changes, because, add }: InitReport, style: Style): string {
  if (outcome === 'told') return `${style.warn('nothing was written')}: ${because}\n\n${add}`;
  if (outcome === 'present') return 'everything is there already; nothing to do';
  const colours = { create: 'good', change: 'warn', keep: 'dim' } as const;
  const rows = files.map(({ path, action, because }) => [style[colours[action]](action), path, because]);
  const settings = changes.map((change) => {
    const value = JSON.stringify(change.value);
    if (change.kind !== 'replace') return [style.good('add'), pathOf(change), value, change.because];
    const became = change.key === undefined ? value : `${change.key}: ${value}`;
    return [style.warn('change'), pathOf(change), `${JSON.stringify(change.from)} becomes ${became}`, change.because];
  });
  const next =
    outcome === 'planned' ? 'nothing was written; run it without --dry-run' : 'commit .devcontainer, and open the folder in its container';
  return [table(rows), ...(settings.length > 0 ? ['', table(settings)] : []), '', next].join('\n');
}

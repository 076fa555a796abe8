import type { Command } from 'commander';
import type { CommitCheck } from '../health/hooks/check.ts';
import type { HookReport } from '../health/hooks/install.ts';
import type { Cli } from './cli.ts';
import { handedOn } from './global-flags.ts';
import { healthView } from './health.ts';
import type { Style } from './output/style.ts';

/** The check before a commit: putting it into a repository, taking it out, and what the hook itself runs. */
export function registerHooks(program: Command, cli: Cli): void {
  const hooks = program
    .command('hooks')
    .description('check the database before every commit')
    .addHelpText('after', '\nExample:\n  dbkit hooks install');
  hooks
    .command('install')
    .description('add the check to the pre-commit hook; a hook that is there stays')
    .addHelpText(
      'after',
      '\nWorks with plain hooks, core.hooksPath and husky; for pre-commit and lefthook it says what to add to their files.\n\nExample:\n  dbkit hooks install',
    )
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, flags, surroundings: { workingDirectory: directory, program: words }, signal }) => {
        const wanted = { directory, program: words, flags: handedOn(flags) };
        const report = await (await app({ asCaller: true })).hooks.install(wanted, signal);
        return { report, text: (style) => hookView(report, style) };
      }),
    );
  hooks
    .command('uninstall')
    .description('remove the check; the rest of the hook stays')
    .addHelpText('after', '\nExample:\n  dbkit hooks uninstall')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, surroundings: { workingDirectory: directory }, signal }) => {
        const report = await (await app({ asCaller: true })).hooks.uninstall({ directory }, signal);
        return { report, text: (style) => hookView(report, style) };
      }),
    );
  hooks
    .command('run')
    .description('run the check of the hook: strict')
    .addHelpText(
      'after',
      '\nAnswers like `dbkit health --strict`; while no server is running hooks.whenDown decides (warn, fail or skip).\n\nExample:\n  dbkit hooks run',
    )
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).health.beforeCommit(signal);
        return { report, text: (style) => checkView(report, style), exit: report.exit };
      }),
    );
}

export function hookView({ outcome, path, because, add }: HookReport, style: Style): string {
  switch (outcome) {
    case 'installed':
      return `${style.good('installed')} in ${path}: ${because}`;
    case 'present':
      return `${path} needs no change: ${because}`;
    case 'told':
      return `${style.warn('nothing was written')}: ${because}. Add this to ${path}:\n\n${add}`;
    case 'removed':
      return `removed from ${path}: ${because}`;
    case 'absent':
      return `nothing to remove from ${path}: ${because}`;
  }
}

function checkView({ verdict, whenDown, health }: CommitCheck, style: Style): string {
  if (verdict === 'well') return style.dim(`dbkit: the database is ${health.status === 'ok' ? 'healthy' : 'healthy, with warnings'}`);
  if (verdict === 'down') {
    if (whenDown === 'skip') return '';
    const said = `dbkit: no database is running, so it was not checked (hooks.whenDown: ${whenDown})`;
    return whenDown === 'fail'
      ? `${style.bad(said)}\nHINT: \`dbkit up --detach\` starts it; \`git commit --no-verify\` commits without the check`
      : style.warn(said);
  }
  const unwell = { ...health, probes: health.probes.filter(({ status }) => status !== 'ok' && status !== 'skipped') };
  return `${healthView(unwell, style)}\nHINT: \`dbkit health\` shows all of it; \`git commit --no-verify\` commits nevertheless`;
}

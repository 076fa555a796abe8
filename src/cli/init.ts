import type { Command } from 'commander';
import type { ComposeServers } from '../homes/compose/init-compose.ts';
import { type InitReport, pathOf } from '../homes/devcontainer/init.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { App } from './app.ts';
import type { Answer, Cli } from './cli.ts';
import { asOption, bringIn, type ComposeFlags, registerInitCompose, WAYS_HELP } from './init-compose.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

export function registerInit(program: Command, cli: Cli): void {
  const init = program
    .command('init')
    .description('set dbkit up in a project')
    .addHelpText('after', '\nExamples:\n  dbkit init devcontainer\n  dbkit init compose');
  registerInitCompose(init, cli);
  init
    .command('devcontainer')
    .description('write a dev container whose database dbkit keeps alive')
    .option('--compose', 'use a compose file')
    .addOption(asOption(`where its compose file runs PostgreSQL from an image: ${WAYS_HELP}`))
    .option('--service <name>', 'the service of the compose file, where several run PostgreSQL')
    .option('--dry-run', 'say what would be written, and write nothing')
    .addHelpText(
      'after',
      '\nMerges into a devcontainer.json that is there, comments preserved. Settings that would change take --yes (else 73).\n\nExamples:\n  dbkit init devcontainer --dry-run\n  dbkit init devcontainer',
    )
    .action((flags: ComposeFlags & { compose?: boolean }, command: Command) =>
      cli.run(command, async (call): Promise<Answer<object>> => {
        const { surroundings, signal } = call;
        const app = await call.app({ asCaller: true });
        const { workingDirectory: directory } = surroundings;
        const found = await serversOf(app, directory);
        if (found !== undefined) return bringIn(app, call, found, flags);
        if (flags.as !== undefined || flags.service !== undefined)
          throw new DbkitError('usage.invalid', 'devcontainer.json names no compose file with PostgreSQL from an image', {
            hint: 'leave --as and --service away, or see `dbkit init compose`; nothing was written',
          });
        const wish = { directory, dryRun: flags.dryRun === true, mayChange: call.flags.yes === true, compose: flags.compose === true };
        const report = await app.homes.initDevcontainer(wish, signal);
        return { report, text: (style) => initView(report, style) };
      }),
    );
}

/** The servers of a dev container that is made of compose files; undefined where there is none, and the container gets dbkit's own. */
async function serversOf(app: App, directory: string): Promise<ComposeServers | undefined> {
  const files = await app.homes.composeFilesOf(directory);
  if (files.length === 0) return undefined;
  const found = await app.homes.findComposeServers(directory, files);
  return found.servers.length > 0 || found.present.length > 0 ? found : undefined;
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
  const warning = `${style.warn('in the project')}: data and backups; \`git clean -fdx\` removes both, and \`copies\` in dbkit.yaml keeps backups elsewhere`;
  return [table(rows), ...(settings.length > 0 ? ['', table(settings)] : []), '', next, warning].join('\n');
}

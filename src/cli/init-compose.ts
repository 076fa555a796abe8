import { type Command, Option } from 'commander';
import type { ComposeServer, ComposeServers, InitComposeReport } from '../homes/compose/init-compose.ts';
import type { Way } from '../homes/compose/ways.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { App } from './app.ts';
import type { Answer, Call, Cli } from './cli.ts';
import { askYes, choose } from './output/prompt.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

export interface ComposeFlags {
  readonly as?: Way;
  readonly service?: string;
  readonly dryRun?: boolean;
}

const ways: readonly { readonly value: Way; readonly name: string }[] = [
  {
    value: 'entrypoint',
    name: 'entrypoint: dbkit runs the server of that service, heals it and takes base backups; the image stays the base',
  },
  { value: 'beside', name: 'beside: the server stays as it is; dbkit in a service of its own: health, sql, snapshot, wait, dumps' },
];
export const WAYS_HELP = 'entrypoint: dbkit runs the server of that service; beside: a service of its own, over a connection';

export function registerInitCompose(init: Command, cli: Cli): void {
  init
    .command('compose')
    .description('bring dbkit into a compose file that runs PostgreSQL from an image')
    .addOption(asOption(WAYS_HELP))
    .option('--file <path>', 'the compose file; default: the one that Compose takes')
    .option('--service <name>', 'the service, where several run PostgreSQL')
    .option('--dry-run', 'show the change, and write nothing')
    .addHelpText(
      'after',
      '\nKnown: the official image, 13 to 18, also alpine; PostGIS, pgvector, TimescaleDB; Bitnami’s only with --as beside. Comments stay, and the change is shown\nbefore it is written (without a terminal it takes --yes, else 73).\n\nExamples:\n  dbkit init compose --as entrypoint --dry-run\n  dbkit init compose --as beside --yes',
    )
    .action((flags: ComposeFlags & { file?: string }, command: Command) =>
      cli.run(command, async (call) => {
        const app = await call.app({ asCaller: true });
        const { workingDirectory: directory } = call.surroundings;
        const found = await app.homes.findComposeServers(directory, flags.file === undefined ? [] : [flags.file]);
        return bringIn(app, call, found, flags);
      }),
    );
}

export const asOption = (help: string): Option => new Option('--as <way>', help).choices(ways.map(({ value }) => value));

/** Asks what was not said where somebody can answer, shows the change, and writes it. */
export async function bringIn(
  app: App,
  call: Call,
  found: ComposeServers,
  flags: ComposeFlags,
): Promise<Answer<InitComposeReport | { outcome: 'present' }>> {
  const { terminal, workingDirectory: directory } = call.surroundings;
  const mayAsk = terminal.stdin && terminal.stderr && !call.flags.json;
  const present = flags.service === undefined && flags.as === undefined && found.present.length > 0;
  if (present) return { report: { outcome: 'present' }, text: () => `dbkit is there already: ${found.present.join(', ')}; nothing to do` };
  const server = await serverOf(found, flags.service, mayAsk);
  const way = flags.as ?? (await wayOf(server, mayAsk));
  const wish = { directory, server, way };
  const init = (given: { dryRun: boolean; mayChange: boolean }) => app.homes.initCompose({ ...wish, ...given }, call.signal);
  if (!mayAsk || call.flags.yes || flags.dryRun) {
    const report = await init({ dryRun: flags.dryRun === true, mayChange: call.flags.yes === true });
    return { report, text: (style) => initComposeView(report, style) };
  }
  const planned = await init({ dryRun: true, mayChange: false });
  if (planned.outcome === 'told') return { report: planned, text: (style) => initComposeView(planned, style) };
  terminal.writeError(`${initComposeView(planned, call.style)}\n\n`);
  if (!(await askYes('Write this?', false))) throw new DbkitError('prompt.refused', 'nothing was written');
  const report = await init({ dryRun: false, mayChange: true });
  return { report, text: (style) => afterwards(report, style) };
}

async function serverOf({ servers, paths, present }: ComposeServers, named: string | undefined, mayAsk: boolean): Promise<ComposeServer> {
  const meant = named === undefined ? servers : servers.filter(({ service }) => service === named);
  if (meant.length === 1) return meant[0]!;
  const names = servers.map(({ service }) => service).join(', ');
  if (meant.length > 1 && mayAsk) {
    const chosen = await choose(
      'Which service?',
      meant.map(({ service, image }) => ({ name: `${service} (${image})`, value: service })),
    );
    return meant.find(({ service }) => service === chosen)!;
  }
  if (meant.length > 1)
    throw new DbkitError('usage.invalid', `several services run PostgreSQL: ${names}`, { hint: 'name one with --service' });
  const where =
    paths.length === 0
      ? 'there is no compose file here'
      : `no service of ${paths.join(', ')} runs PostgreSQL from an image that dbkit knows`;
  throw new DbkitError(
    'usage.invalid',
    named === undefined ? where : `there is no service ${named} with PostgreSQL; there is ${names || 'none'}`,
    {
      hint:
        present.length > 0
          ? `dbkit is in ${present.join(', ')} already; nothing was written`
          : 'name the file with --file, or see `dbkit init devcontainer`; nothing was written',
    },
  );
}

async function wayOf({ service, image }: ComposeServer, mayAsk: boolean): Promise<Way> {
  if (mayAsk) return (await choose(`${service} runs ${image}. How should dbkit come in?`, ways)) as Way;
  throw new DbkitError('usage.invalid', `${service} runs ${image}, and there are two ways for dbkit to come in`, {
    hint: `say one: --as entrypoint (dbkit runs that server, heals it and takes base backups) or --as beside (a service of its own: health, sql, snapshot, dumps); nothing was written`,
  });
}

export function initComposeView(report: InitComposeReport, style: Style): string {
  const { outcome, service, because, files, diff } = report;
  if (outcome === 'told') return `${style.warn('nothing was written')}: ${service}: ${because}\n${report.next.join('\n')}`;
  const colours = { '-': 'bad', '+': 'good', ' ': 'dim', '…': 'dim' } as const;
  return [
    table(files.map(({ path, action }) => [style[action === 'change' ? 'warn' : 'good'](action), path])),
    '',
    ...diff.map((line) => style[colours[line[0] as keyof typeof colours]](line)),
    '',
    afterwards(report, style),
  ].join('\n');
}

function afterwards({ outcome, warnings, next, goBack }: InitComposeReport, style: Style): string {
  return [
    ...warnings.map((warning) => style.warn(`mind: ${warning}`)),
    outcome === 'planned' ? 'nothing was written yet' : `written; next: ${next.join('; ')}`,
    style.dim(`to go back: ${goBack}`),
  ].join('\n');
}

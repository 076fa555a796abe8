import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { DbkitError } from '../kernel/errors.ts';
import { DURATION, durationMs } from '../kernel/units.ts';
import type { OpenDamage } from '../recovery/way-back.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { damageView } from './recovery-views.ts';
import { automaticCommands, definedOnly, upAgain } from './relaunch.ts';

export const secondsFlag = (text: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError('expected a number of seconds.');
  return value;
};

export function durationArgument(text: string): string {
  if (DURATION.test(text)) return text;
  throw new InvalidArgumentError("expected a duration like '30m' or '2h'.");
}

interface UpFlags {
  readonly detach?: boolean;
  readonly timeout: number;
}

const words = {
  up: 'up',
  'already-up': 'already up; nothing to do',
  held: 'held: PostgreSQL was not started, `dbkit status` says why',
  stopped: 'stopped',
} as const;

function upView({ outcome }: { readonly outcome: keyof typeof words }, damage: readonly OpenDamage[], style: Style): string {
  return [outcome === 'held' ? style.warn(words.held) : words[outcome], ...damageView(damage, style)].join('\n');
}

export function registerUp(program: Command, cli: Cli): void {
  program
    .command('up')
    .description('start the services without being the entrypoint')
    .option('-d, --detach', 'run in the background; return when the services are ready')
    .option('--timeout <seconds>', 'how long --detach waits', secondsFlag, 300)
    .option('--strict', 'fail instead of holding when PostgreSQL may not be started')
    .addHelpText('after', '\nExamples:\n  dbkit up --detach && psql -h localhost -U dbuser dbuser\n  dbkit up')
    .action((flags: UpFlags, command: Command) =>
      cli.run(
        command,
        async ({ app: open, flags: global, surroundings, signal }) => {
          const app = await open();
          const say = (): void => {
            app.log.info('up.ready', 'the services are up; stop with Ctrl-C or `dbkit down`');
            void app.sdNotify.tell('READY=1');
          };
          const report = flags.detach
            ? await app.supervisor.upDetached(
                {
                  program: upAgain(surroundings, global),
                  environment: definedOnly(surroundings.environment),
                  timeoutMs: flags.timeout * 1000,
                },
                signal,
              )
            : await app.supervisor.up({ onReady: say, automatic: automaticCommands(surroundings, global) });
          const isUp = report.outcome === 'up' || report.outcome === 'already-up';
          const damage =
            flags.detach && isUp
              ? await app.supervisor.status(signal).then(
                  (status) => status.damage,
                  () => [], // It is up, whatever cannot be read now.
                )
              : [];
          return { report, text: (style) => upView(report, damage, style) };
        },
        { ownSignals: !flags.detach },
      ),
    );
  program
    .command('down')
    .description('stop what up or entrypoint started')
    .addOption(new Option('--for <duration>', 'how long a monitor does not recover it').argParser(durationArgument).default('30m'))
    .addHelpText('after', '\nExamples:\n  dbkit down\n  dbkit down --for 2h')
    .action((flags: { for: string }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).supervisor.down({ forMs: durationMs(flags.for) }, signal);
        return { report, text: () => (report.outcome === 'stopped' ? 'stopped' : 'nothing was running') };
      }),
    );
  program
    .command('restart')
    .description('stop and start one service, or all; the container and its command live on')
    .argument('[service]', 'the name of the service')
    .addHelpText('after', '\nExample:\n  dbkit restart postgresql')
    .action((service: string | undefined, _flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).supervisor.restart(service, signal);
        const unready = report.services.filter(({ state }) => state !== 'ready' && state !== 'disabled');
        if (unready.length > 0)
          throw new DbkitError(
            'service.unready',
            unready.map(({ name, state, failure }) => `${name} is ${state}${failure ? `: ${failure.message}` : ''}`).join('\n'),
            { hint: '`dbkit status` shows more' },
          );
        return { report, text: () => `restarted ${service ?? 'all services'}` };
      }),
    );
}

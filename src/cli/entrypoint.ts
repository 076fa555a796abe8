import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import { serverAmong } from '../control/status.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Supervisor } from '../supervisor/supervise.ts';
import type { App } from './app.ts';
import type { Cli } from './cli.ts';
import { automaticCommands } from './relaunch.ts';

export function registerEntrypoint(program: Command, cli: Cli): void {
  program
    .command('entrypoint')
    .description('start the services, run CMD, stop everything cleanly: a container’s ENTRYPOINT')
    .argument('[cmd...]', 'the command to run when the services are ready; none: run until a stop is requested')
    .option('--strict', 'fail instead of holding when PostgreSQL may not be started')
    .addHelpText(
      'after',
      '\nPasses on its command’s status. Without a command a requested stop ends with 0.\n\nExamples:\n  dbkit entrypoint -- npm run dev\n  dbkit entrypoint --local',
    )
    .action((words: string[], _flags: object, command: Command) =>
      cli.run(
        command,
        async ({ app: open, flags, surroundings }) => {
          const app = await open();
          const intervalMs = app.config.monitor.intervalSeconds * 1000;
          const pages = app.config.monitor.enabled
            ? await app.monitor.openPages({ listen: undefined, intervalMs, version: surroundings.version }).catch((cause: unknown) => {
                app.log.warn('pages.failed', `the status page cannot be shown: ${wordsOf(cause)}`); // No reason to leave the container down.
                return undefined;
              })
            : undefined;
          const report = await app.supervisor
            .entrypoint({
              mode: 'entrypoint',
              command: words,
              commandOutput: flags.json ? 'stderr' : 'inherit',
              automatic: automaticCommands(surroundings, flags),
              onReady: (supervisor) => {
                announce(app, supervisor);
                if (words.length > 0) return;
                for (const line of firstSteps(app.config, flags.local, surroundings.workingDirectory))
                  app.log.info('entrypoint.waiting', line);
              },
              onCheck: (check) => pages?.onCheck(check),
              onRecovery: (isUnderWay) => pages?.onRecovery(isUnderWay),
            })
            .finally(() => pages?.close());
          return { report, text: () => '', exit: report.exitStatus };
        },
        { ownSignals: true, silentText: true },
      ),
    );
}

/** Where the database is, in the words a person pastes, and how to stop it. The password is the person's own to add. */
export function announce(app: Pick<App, 'config' | 'log'>, supervisor: Supervisor): void {
  const { username, database = username, port, socketDir } = app.config.postgresql;
  const postgresql = serverAmong(supervisor.status().services);
  if (postgresql?.note) {
    const isReplaced = postgresql.recovery === 'restore' || postgresql.recovery === 'reinitialize';
    app.log[isReplaced ? 'warn' : 'info']('recovery.told', `recovery: ${postgresql.note}`);
  }
  if (postgresql?.state === 'ready') {
    app.log.info(
      'entrypoint.ready',
      `PostgreSQL is ready: postgresql://${encodeURIComponent(username)}@localhost:${port}/${encodeURIComponent(database)} (socket: ${socketDir})`,
      {
        port,
        socketDir,
        database,
        username,
      },
    );
  }
}

/**
 * For a person who has just started a database in a folder of his own: how to ask it, where everything is, and how it ends; elsewhere only the end.
 * Paths below the working directory are said from there, so that a line fits into 80 columns. Pure.
 */
export function firstSteps({ postgresql, backupDir, logDir }: Config, local: string | true | undefined, from: string): string[] {
  const end = 'stop with Ctrl-C or SIGTERM';
  if (local === undefined) return [end];
  const near = (path: string): string => (path.startsWith(`${from}/`) ? path.slice(from.length + 1) : path);
  const flag = local === true ? '--local' : `--local ${local}`;
  return [
    `in another terminal: \`npx dbkit sql ${flag}\``,
    `data: ${near(postgresql.dataDir)}; backups: ${near(backupDir)}; logs: ${near(logDir)}`,
    end,
  ];
}

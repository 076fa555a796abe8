import { join } from 'node:path';
import type { Command } from 'commander';
import { LOCAL_DIR } from '../homes/local-layout.ts';
import { nearest } from '../kernel/closest-name.ts';
import { DbkitError } from '../kernel/errors.ts';
import { bytes, duration } from '../kernel/units.ts';
import { isThere } from '../machine/is-there.ts';
import { lostSomething } from '../recovery/report.ts';
import type { StatusReport } from '../supervisor/report-status.ts';
import type { Cli } from './cli.ts';
import { nextStepFor } from './next-steps.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

/** `dbkit` alone: the state in six lines, and the three commands that make sense now. */
export function registerOverview(program: Command, cli: Cli): void {
  program
    .usage('[options] [command]')
    .argument('[command]') // Else commander takes a wrong word for an argument too many.
    .allowExcessArguments(true)
    .action((word: string | undefined, _flags: object, command: Command) =>
      cli.run(command, async ({ app: open, flags, surroundings, signal }) => {
        if (word !== undefined) throw unknownCommand(program, word);
        const app = await open();
        const report = await app.supervisor.status(signal);
        const isLocalHere = flags.local === undefined && (await isThere(join(surroundings.workingDirectory, LOCAL_DIR, 'data')));
        return { report, text: (style) => overview(report, isLocalHere, style, app.clock.now()) };
      }),
    );
}

function unknownCommand(program: Command, word: string): DbkitError {
  const close = nearest(
    word,
    program.commands.map((command) => command.name()),
  );
  return new DbkitError('usage.invalid', `unknown command '${word}'`, {
    hint:
      close === undefined ? '`dbkit --help` lists the commands' : `did you mean \`dbkit ${close}\`? \`dbkit --help\` lists the commands`,
  });
}

export function overview(report: StatusReport, isLocalHere: boolean, style: Style, now: Date): string {
  const { instance, supervisor, lastBackup, lastRecovery, services, readiness } = report;
  const span = (iso: string): string => duration(Math.max(0, now.getTime() - Date.parse(iso)) / 1000);
  const disk = report.disks.find(({ what }) => what === 'data');
  const place = `${instance.host === null ? '' : `${instance.host}, `}port ${instance.port}`;
  const rows = [
    ['server', instance.version ? style.good(`PostgreSQL ${instance.version} answers on ${place}`) : style.bad(`no answer on ${place}`)],
    [
      'supervised',
      supervisor.running ? `by ${supervisor.mode}${supervisor.since ? `, for ${span(supervisor.since)}` : ''}` : style.dim('no'),
    ],
    [
      'data',
      [
        instance.host === null ? instance.dataDir : '',
        instance.sizeBytes === null ? '' : bytes(instance.sizeBytes),
        disk ? `${bytes(disk.freeBytes)} free` : '',
      ]
        .filter(Boolean)
        .join(', '),
    ],
    ['connections', instance.connections ? `${instance.connections.used} of ${instance.connections.max}` : style.dim('none')],
    ['last backup', lastBackup ? `${lastBackup.label}, ${lastBackup.state}, ${span(lastBackup.createdAt)} ago` : style.warn('none')],
    [
      'last recovery',
      lastRecovery ? `${lastRecovery.decision}, ${span(lastRecovery.at)} ago; lost: ${lastRecovery.lost}` : style.dim('none'),
    ],
  ];
  const { then, words } = nextStepFor({
    readiness,
    services: services.map(({ state }) => state),
    isLocalHere,
    isKnown: instance.hasData || lastBackup !== null || lastRecovery !== null,
    hasGoodBackup: lastBackup !== null && lastBackup.state !== 'damaged',
    lostSomething: lastRecovery !== null && lostSomething(lastRecovery),
  });
  return `${table(rows)}\n\n${words}:\n${then.map((line) => `  ${style.strong(line)}`).join('\n')}\n\n\`dbkit --help\` lists every command`;
}

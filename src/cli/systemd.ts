import { type Command, Option } from 'commander';
import { drills } from '../cluster/drill/drills.ts';
import { drillKinds } from '../config/schedules.ts';
import type { UnitsReport, UnitWishes } from '../homes/systemd/install.ts';
import { UNIT_DIR } from '../homes/systemd/units.ts';
import type { Cli, Surroundings } from './cli.ts';
import type { Style } from './output/style.ts';

interface UnitFlags {
  readonly unitDir: string;
  readonly environmentFile: string;
  readonly backupAt: string;
  readonly verifyAt: string;
  readonly drillAt?: string;
  readonly drill: string;
}

/** Drills that need no rights of root's: a partition does. */
const rehearsed = [...drillKinds, ...drills.map(({ id }) => id).filter((id) => id !== 'partition')];
const wordsOf = (name: string): string =>
  drillKinds.some((kind) => kind === name) ? `drill ${name} --if-carrier --low-priority --quiet` : `ha drill ${name} --quiet`;

const WHAT = `
dbkit-health.timer checks every monitor.intervalSeconds and counts; dbkit-recovery.service does what is due, through the server's own unit;
dbkit-backup.timer and dbkit-verify.timer do what their names say, and with --drill-at so does dbkit-drill.timer. A PGDATA that no unit runs gets dbkit-postgresql.service.`;

/** A VPS: the checks, the recovery and the backups as units of systemd's. */
export function registerSystemd(program: Command, cli: Cli): void {
  const systemd = program
    .command('systemd')
    .description('watch, recover and back up through units of systemd')
    .addHelpText('after', WHAT)
    .addHelpText('after', '\nExample:\n  dbkit --cluster 15/main systemd install');
  withSchedule(systemd.command('install').description('write the units and start their timers; again is an update'))
    .addHelpText(
      'after',
      '\nExamples:\n  dbkit --cluster 15/main systemd install\n  PGDATA=/srv/pg dbkit systemd install --backup-at hourly',
    )
    .action((flags: UnitFlags, command: Command) =>
      cli.run(command, async ({ app, surroundings, signal }) => {
        const report = await (await app({ asCaller: true })).homes.installUnits(wishes(flags, surroundings), signal);
        return { report, text: (style) => installedView(report, style) };
      }),
    );
  withSchedule(systemd.command('print').description('print the units, and write nothing'))
    .addHelpText('after', '\nExample:\n  dbkit --cluster 15/main systemd print')
    .action((flags: UnitFlags, command: Command) =>
      cli.run(command, async ({ app, surroundings }) => {
        const units = await (await app({ asCaller: true })).homes.printUnits(wishes(flags, surroundings));
        return { report: { units }, text: (style) => units.map(({ name, text }) => `${style.dim(`# ${name}`)}\n${text}`).join('\n') };
      }),
    );
  systemd
    .command('uninstall')
    .description('remove the units; data, backups and the environment file stay, and so does a server that has a unit of its own')
    .option('--unit-dir <dir>', 'the folder of the units', UNIT_DIR)
    .addHelpText('after', '\nExample:\n  dbkit systemd uninstall')
    .action((flags: Pick<UnitFlags, 'unitDir'>, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const files = await (await app({ asCaller: true })).homes.uninstallUnits(flags.unitDir, signal);
        return { report: { files }, text: () => (files.length === 0 ? 'nothing was installed' : filesView(files)) };
      }),
    );
}

const withSchedule = (command: Command): Command =>
  command
    .option('--backup-at <calendar>', 'when backups are taken (systemd.time)', '*-*-* 02:15')
    .option('--verify-at <calendar>', 'when backups are verified', 'Sun *-*-* 04:30')
    .option('--drill-at <calendar>', 'when a disaster is rehearsed, such as monthly; none: never')
    .addOption(
      new Option('--drill <name>', 'which one: a restore on a copy, or of `dbkit ha drill` on a cluster of its own')
        .choices(rehearsed)
        .default('total-loss'),
    )
    .option('--unit-dir <dir>', 'the folder for the units; in another folder nothing is started', UNIT_DIR)
    .option('--environment-file <file>', 'the file with environment variables for the units (mode 0600)', '/etc/dbkit/dbkit.env');

const wishes = ({ drillAt, drill, ...flags }: UnitFlags, { program: [node, script] }: Surroundings): UnitWishes => ({
  ...flags,
  drill: drillAt === undefined ? undefined : { at: drillAt, words: wordsOf(drill) },
  program: [node, script],
});

const filesView = (files: UnitsReport['files']): string => files.map(({ path, did }) => `${did.padEnd(9)}  ${path}`).join('\n');

function installedView({ files, enabled, user, serverUnit }: UnitsReport, style: Style): string {
  const runs =
    enabled.length > 0
      ? `started: ${enabled.join(', ')}; \`systemctl list-timers 'dbkit-*'\` shows when they run next`
      : style.warn('nothing was started: systemd does not run here, or looks elsewhere for units');
  return [filesView(files), `checks and backups run as ${user}, the server in ${serverUnit}`, runs].join('\n');
}

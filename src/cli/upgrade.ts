import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { bytes, counted, roughly } from '../kernel/units.ts';
import type { UpgradeReport } from '../upgrade/contract.ts';
import type { UpgradeMethod } from '../upgrade/methods.ts';
import { majorArgument } from './arguments.ts';
import type { Cli } from './cli.ts';
import { drawn } from './output/printable.ts';
import { confirm } from './output/prompt.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { mayAsk } from './restore.ts';

interface Flags {
  readonly to?: number;
  readonly dryRun?: boolean;
  readonly method?: UpgradeMethod;
  readonly oldBinDir?: string;
  readonly allowMissing?: boolean;
}

export function registerUpgrade(program: Command, cli: Cli): void {
  program
    .command('upgrade')
    .description('take the data to a newer major version of PostgreSQL; the old cluster is kept')
    .option(
      '--to <major>',
      'the major version; default: that of POSTGRES_BIN_DIR or POSTGRES_VERSION, else the newest installed',
      majorArgument,
    )
    .option('-n, --dry-run', 'show the plan and what stands in the way; change nothing')
    .addOption(new Option('--method <name>', 'default: pg_upgrade where it can be used, else dump').choices(['pg_upgrade', 'dump']))
    .option('--old-bin-dir <dir>', 'the programs of the old major, where they are not in a usual place')
    .option('--allow-missing', 'go on although some objects do not come over; they are named')
    .addHelpText(
      'after',
      '\nA backup is taken, read again and pinned first. The new cluster is made beside the data and checked before it takes its place;\n`dbkit backup undo` brings the old one back. Files are never linked: both clusters stay whole.\n\nExamples:\n  dbkit upgrade --dry-run\n  dbkit upgrade --to 17 --yes',
    )
    .action((flags: Flags, command: Command) =>
      cli.run(command, async (call) => {
        const { surroundings, signal, style } = call;
        const app = await call.app();
        const ask = async (plan: UpgradeReport): Promise<boolean> => {
          if (!call.flags.yes && !call.flags.json)
            surroundings.terminal.writeError(`${drawn(style, (look) => upgradeView(plan, look))}\n\n`);
          return confirm('Upgrade the data as planned?', { mayAsk: mayAsk(call), yes: call.flags.yes ?? false });
        };
        const oldBinDir = flags.oldBinDir === undefined ? undefined : resolve(surroundings.workingDirectory, flags.oldBinDir);
        const request = { to: flags.to, oldBinDir, method: flags.method, allowMissing: flags.allowMissing ?? false };
        const report = await app.upgrade({ ...request, dryRun: flags.dryRun ?? false }, ask, signal);
        return { report, text: (look) => upgradeView(report, look) };
      }),
    );
}

/** The plan before, the outcome after. */
export function upgradeView(report: UpgradeReport, style: Style): string {
  return report.done ? outcome(report, style) : plan(report, style);
}

function plan(
  { from, to, method, because, transfer, obstacles, target, neededBytes, freeBytes, warnings }: UpgradeReport,
  style: Style,
): string {
  const version = (major: number | null): string => (major === null ? 'not known' : `PostgreSQL ${major}`);
  const server = target.serverRuns ? 'goes on while the backup is taken; is stopped for the upgrade, and started again' : 'does not run';
  const rows = [
    ['upgrade', `${target.dataDir} (${bytes(target.sizeBytes)}) from ${version(from.major)} to ${style.strong(version(to.major))}`],
    ['programs', `${from.programs ?? 'none'} and ${to.programs ?? 'none'}`],
    ['by', `${method ?? 'nothing'}${transfer === null ? '' : ` (${transfer})`}: ${because}`],
    ['backup first', 'a base backup, read again and pinned'],
    ["today's data", 'is kept whole; `dbkit backup undo` brings it back'],
    ['server', server],
    ['space', `${bytes(neededBytes)} of ${bytes(freeBytes)} free beside the data, and the backup`],
    ...warnings.map((warning) => [style.warn('mind'), style.warn(warning)]),
    ...obstacles.flatMap(({ because: why, next }) => [
      [style.bad('in the way'), style.bad(why)],
      ['', next],
    ]),
  ];
  const asked =
    obstacles.length === 0 ? '\nextensions, prepared transactions and data types are asked when it begins, before anything is changed' : '';
  return `${table(rows.map(([name, value]) => [style.dim(name!), value!]))}${asked}`;
}

function outcome(report: UpgradeReport, style: Style): string {
  const { from, to, method, databases, relations, settings, extensions, missing, backup, quarantine, durationMs, warnings } = report;
  return [
    `${style.good('upgraded')} from PostgreSQL ${from.major} to ${style.strong(String(to.major))} by ${method} in ${roughly(durationMs / 1000)}`,
    `${counted(databases ?? 0, 'database')} with ${counted(relations ?? 0, 'relation')} were compared with the old cluster, and answer`,
    ...extensions.map((one) => `extension ${one.name} of ${one.database}: ${one.from} is ${one.to} now`),
    ...settings.map(({ name, file, because }) => `${style.warn('mind')}: ${name} in ${file} is commented out: ${because}`),
    ...missing.map((one) => `${style.warn('not as it was')}: ${one.database}: ${one.what}: ${one.because}`),
    ...warnings.map((warning) => `${style.warn('mind')}: ${warning}`),
    `the old cluster is whole in ${quarantine}; \`dbkit backup undo\` brings it back, with the programs of ${from.major}`,
    `the backup ${backup} is of PostgreSQL ${from.major}, and pinned; \`dbkit backup create\` takes one of the new cluster`,
  ].join('\n');
}

import { type Command, InvalidArgumentError } from 'commander';
import type { LocalDown } from '../cluster/local/down.ts';
import type { LocalUp } from '../cluster/local/up.ts';
import { DbkitError } from '../kernel/errors.ts';
import { roughly } from '../kernel/units.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

interface UpFlags {
  readonly local?: string | true;
  readonly members: number;
  readonly firstPort: number;
}

/** A whole cluster on this machine: `dbkit ha up --local`, `dbkit ha down`. */
export function registerLocal(ha: Command, cli: Cli): void {
  ha.command('up')
    .description('start a whole cluster on this machine, to learn and to test (with --local)')
    .option('--members <count>', 'how many servers', between(2, 9), 3)
    .option('--first-port <port>', 'its ports are this one and the 30 after it, on the loopback', between(1024, 65_000), 15_400)
    .addHelpText(
      'after',
      '\nIt needs --local: a cluster of real machines is started by their own units (`dbkit ha render`). etcd, Patroni, HAProxy and PgBouncer of\nDebian’s packages run in the background, with everything they write in ha-local of the state folder. With --local, and\nwhere ha.members is not set, the other verbs of `dbkit ha` are about it. It is up when a commit through its write address is acknowledged and every replica streams.\n\nExamples:\n  dbkit ha up --local && dbkit ha status --local\n  dbkit ha down --local',
    )
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, signal, surroundings: { program } }) => {
        const { local, members, firstPort } = command.optsWithGlobals<UpFlags>();
        if (local === undefined)
          throw new DbkitError('usage.invalid', 'only a cluster on this machine can be started from here', {
            hint: 'add --local; for real machines `dbkit ha render` makes the files',
          });
        const report = await (await app()).cluster.upLocal({ members, port: firstPort, program }, signal);
        return { report, text: (style) => upView(report, style) };
      }),
    );
  ha.command('down')
    .description('stop the cluster of `dbkit ha up --local`; its data stays')
    .addHelpText('after', '\nExample:\n  dbkit ha down --local')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app }) => {
        const report = await (await app()).cluster.downLocal();
        return { report, text: () => downView(report) };
      }),
    );
}

export const between =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`expected a number from ${least} to ${most}.`);
  };

function upView({ members, writeAddress, readAddress, pooler, folder, seconds }: LocalUp, style: Style): string {
  const rows = [
    ['writes', writeAddress],
    ['reads', readAddress],
    ['PgBouncer', pooler],
    ['user', `postgres; the password is in ${folder}/cluster.json`],
    ['logs and data', folder],
  ];
  return `${style.good(`a cluster of ${members.length} is up`)} after ${roughly(seconds)}: \`dbkit ha status --local\` shows it\n\n${table(rows)}`;
}

const downView = ({ stopped, folder }: LocalDown): string =>
  stopped.length === 0 ? `no local cluster runs in ${folder}` : `stopped: ${stopped.join(', ')}; the data stays in ${folder}`;

import { type Command, Option } from 'commander';
import type { ReplicaReport } from '../cluster/copying/create-replica.ts';
import { bytes } from '../kernel/units.ts';
import type { PointFlags } from '../restore/read-point.ts';
import type { Cli } from './cli.ts';

interface PatroniFlags {
  readonly datadir: string;
  readonly connstring: string;
}

const CALLED = `
Patroni calls it. In patroni.yml:
  postgresql:
    create_replica_methods: [dbkit, basebackup]
    dbkit: {command: dbkit --config /etc/dbkit/dbkit.yaml ha create-replica, keep_data: true, no_leader: true}
\`dbkit ha render\` writes that where BACKUP_DIR is set.`;

/** Programs for Patroni: a member's data, made from backups. */
export function registerCopying(ha: Command, cli: Cli): void {
  ha.command('create-replica')
    .description('make a replica’s data from the newest base backup that fits; Patroni calls it')
    .addOption(new Option('--scope <scope>', 'the cluster').hideHelp())
    .addOption(new Option('--role <role>', 'replica').hideHelp())
    .addOption(new Option('--keep_data <yes>', 'Patroni leaves the data directory to dbkit').hideHelp())
    .addOption(new Option('--no_leader <yes>', 'also where nobody leads').hideHelp())
    .requiredOption('--datadir <dir>', 'the data directory; it must be the one of the configuration')
    .option(
      '--connstring <conninfo>',
      'the member that it shall follow, as libpq’s keywords say it; the password comes from PGPASSFILE',
      '',
    )
    .addHelpText(
      'after',
      `\nWhat the data directory holds is set aside first, never removed. A backup fits where it is of this cluster and whole, ends on the leader’s way, and\nall WAL since is in the archive or with the leader. Fails where none does; Patroni then goes on with its next method.\n${CALLED}\n\nExample:\n  dbkit ha create-replica --datadir /var/lib/postgresql-data --connstring "host=10.0.0.1 user=replicator"`,
    )
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, signal, surroundings: { environment } }) => {
        const { datadir, connstring } = command.optsWithGlobals<PatroniFlags>();
        const wish = { dataDir: datadir, connstring, passwordFile: environment['PGPASSFILE'] };
        const report = await (await app()).cluster.createReplica(wish, signal);
        return { report, text: () => replicaView(report) };
      }),
    );
  registerBootstrap(ha, cli);
}

interface BootstrapFlags extends PointFlags {
  readonly datadir: string;
  readonly label?: string;
  readonly oldData?: string;
}

const BOOTSTRAP = `
Patroni calls it where the store knows no cluster yet. In patroni.yml:
  bootstrap:
    method: dbkit
    dbkit:
      command: dbkit --config /etc/dbkit/dbkit.yaml ha bootstrap --label latest
      keep_existing_recovery_conf: false
      recovery_conf: {restore_command: "false", recovery_target_timeline: current, recovery_target_action: promote}
The WAL up to the moment is laid into pg_wal, so recovery_conf needs no archive; for --to-lsn it has recovery_target_lsn and recovery_target_inclusive,
too. \`dbkit ha restore\` writes all of that.`;

function registerBootstrap(ha: Command, cli: Cli): void {
  ha.command('bootstrap')
    .description('make the data of a cluster’s first member from a backup; Patroni calls it')
    .addOption(new Option('--scope <scope>', 'the cluster').hideHelp())
    .requiredOption('--datadir <dir>', 'the data directory, without a database; it must be the one of the configuration')
    .option('--label <label>', 'a base backup; `latest` is the newest good one. Default: the one that serves the moment')
    .option('--to <time>', 'with the WAL up to this moment: a time, or `latest`')
    .option('--to-lsn <lsn>', 'with the WAL up to this place')
    .option('--exclusive', 'stop just before the moment')
    .option('--timeline <number>', 'a moment of this timeline')
    .option('--old-data <dir>', 'a data directory that was set aside: its WAL counts, too')
    .addHelpText('after', `${BOOTSTRAP}\n\nExample:\n  dbkit ha bootstrap --datadir /var/lib/postgresql-data --label data_20261120_195400`)
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const flags = command.optsWithGlobals<BootstrapFlags>();
        const app = await open();
        const { datadir: dataDir, label, oldData, to, toLsn, exclusive, timeline } = flags;
        const point = await app.restore.point({ to, toLsn, exclusive, timeline }, signal);
        const report = await app.cluster.bootstrap({ dataDir, label, point, oldData }, signal);
        const text = (): string => `made from ${report.label}: ${bytes(report.sizeBytes)} in ${(report.durationMs / 1000).toFixed(1)} s`;
        return { report, text };
      }),
    );
}

function replicaView({ label, sizeBytes, quarantine, refused, durationMs }: ReplicaReport): string {
  return [
    `the replica’s data was made from ${label}: ${bytes(sizeBytes)} in ${(durationMs / 1000).toFixed(1)} s`,
    ...(quarantine === null ? [] : [`what was there before is in ${quarantine}`]),
    ...refused.map((one) => `${one.label} was not used: ${one.because}`),
  ].join('\n');
}

import { type Command, Option } from 'commander';
import type { ReplicaReport } from '../cluster/copying/create-replica.ts';
import { bytes } from '../kernel/units.ts';
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
}

function replicaView({ label, sizeBytes, quarantine, refused, durationMs }: ReplicaReport): string {
  return [
    `the replica’s data was made from ${label}: ${bytes(sizeBytes)} in ${(durationMs / 1000).toFixed(1)} s`,
    ...(quarantine === null ? [] : [`what was there before is in ${quarantine}`]),
    ...refused.map((one) => `${one.label} was not used: ${one.because}`),
  ].join('\n');
}

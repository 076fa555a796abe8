import type { Command } from 'commander';
import type { RestoredReport, SavedReport } from '../backups/snapshots/contract.ts';
import type { Snapshot } from '../backups/snapshots/snapshot.ts';
import { bytes, counted, moment, roughly } from '../kernel/units.ts';
import type { Cli } from './cli.ts';
import { table } from './output/table.ts';
import { registerSnapshotAuto } from './snapshot-auto.ts';
import { DATABASE_FLAG, databaseOf, type SnapshotFlags } from './snapshot-database.ts';
import { registerSnapshotDiff } from './snapshot-diff.ts';

export function registerSnapshot(program: Command, cli: Cli): void {
  const snapshot = program
    .command('snapshot')
    .description('copies of one database in the running server, as light as a branch')
    .addHelpText('after', '\nExamples:\n  dbkit snapshot save before-migration\n  dbkit snapshot restore before-migration');
  snapshot
    .command('save')
    .description('copy the database as it is now; its sessions are ended')
    .argument('[name]', 'the name of the snapshot (default: the moment)')
    .option(...DATABASE_FLAG)
    .addHelpText('after', '\nNew sessions wait until the copy is made.\n\nExample:\n  dbkit snapshot save before-migration')
    .action((name: string | undefined, flags: SnapshotFlags, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.snapshots.save({ database: databaseOf(flags, app.config), name }, signal);
        return { report, text: () => savedView(report) };
      }),
    );
  snapshot
    .command('list')
    .description('list the snapshots, newest first')
    .option('--database <name>', 'only those of this database')
    .addHelpText('after', '\nExample:\n  dbkit snapshot list --json')
    .action((flags: SnapshotFlags, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = { snapshots: await (await app()).snapshots.list({ database: flags.database }, signal) };
        return { report, text: () => listView(report.snapshots) };
      }),
    );
  snapshot
    .command('restore')
    .description('put the database back as it was in the snapshot; what is there now is kept under another name')
    .argument('<name>', 'the name of the snapshot')
    .option(...DATABASE_FLAG)
    .addHelpText('after', '\nIts sessions are ended, and the snapshot stays.\n\nExample:\n  dbkit snapshot restore before-migration')
    .action((name: string, flags: SnapshotFlags, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.snapshots.restore({ database: databaseOf(flags, app.config), name }, signal);
        return { report, text: () => restoredView(report) };
      }),
    );
  registerSnapshotDiff(snapshot, cli);
  registerSnapshotAuto(snapshot, cli);
  snapshot
    .command('delete')
    .description('drop a snapshot; the database that it was taken of is not touched')
    .argument('<name>', 'the name of the snapshot')
    .option(...DATABASE_FLAG)
    .addHelpText('after', '\nExample:\n  dbkit snapshot delete before-migration')
    .action((name: string, flags: SnapshotFlags, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.snapshots.delete({ database: databaseOf(flags, app.config), name }, signal);
        return { report, text: () => `deleted the snapshot ${report.name} of ${report.of} (${bytes(report.sizeBytes)})` };
      }),
    );
}

const ended = (sessions: number): string => (sessions === 0 ? '' : `; ${counted(sessions, 'session')} had to be ended for it`);

const savedView = ({ name, of, sizeBytes, durationMs, endedSessions }: SavedReport): string =>
  `saved ${of} as ${name} (${bytes(sizeBytes)}) in ${roughly(durationMs / 1000)}${ended(endedSessions)}`;

function restoredView({ name, database, at, replaced, undo, missing, durationMs, endedSessions }: RestoredReport): string {
  return [
    `restored ${database} from ${name}, as it was at ${moment(at)}, in ${roughly(durationMs / 1000)}${ended(endedSessions)}`,
    ...missing.map(({ what, because }) => `restored differently: ${what}: ${because}`),
    ...(replaced === null
      ? []
      : [
          `what was there is whole in the database ${replaced}; drop it when you are sure`,
          'to go back, run `dbkit sql --superuser postgres` and type:',
          ...undo.map((statement) => `  ${statement};`),
        ]),
  ].join('\n');
}

const listView = (snapshots: readonly Snapshot[]): string =>
  snapshots.length === 0
    ? 'no snapshots: `dbkit snapshot save` takes one'
    : table(
        snapshots.map(({ of, name, at, sizeBytes }) => [of, name, moment(at), bytes(sizeBytes)]),
        ['DATABASE', 'NAME', 'SAVED', 'SIZE'],
      );

import type { Command } from 'commander';
import type { BackupReport } from '../backups/take-backup.ts';
import { cleanupView, createdView, listView } from './backup-views.ts';
import type { Cli } from './cli.ts';
import { registerHealth } from './health.ts';
import { statusView } from './status.ts';
import { registerUpkeep } from './upkeep.ts';

/** The commands of maintenance.sh under their old names, so that people who come from there are at home. */
export function registerMaintenance(program: Command, cli: Cli): void {
  const maintenance = program
    .command('maintenance')
    .description('list or run what helps the server: VACUUM, ANALYZE, REINDEX; also the names of maintenance.sh')
    .addHelpText('after', '\nExamples:\n  dbkit maintenance\n  dbkit maintenance vacuum --dry-run\n  dbkit maintenance status');
  registerUpkeep(maintenance, cli);
  maintenance
    .command('status')
    .description('the same as `dbkit status`')
    .addHelpText('after', '\nExample:\n  dbkit maintenance status')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.supervisor.status(signal);
        return { report, text: (style) => statusView(report, style, app.clock.now()) };
      }),
    );
  registerHealth(maintenance, cli, 'maintenance health');
  maintenance
    .command('backup')
    .description('take a base backup')
    .option('--if-changed', 'only when something was written since the last backup')
    .addHelpText('after', '\nExample:\n  dbkit maintenance backup --if-changed')
    .action((flags: { ifChanged?: boolean }, command: Command) =>
      cli.run<BackupReport>(command, async ({ app, signal }) => {
        const report = await (await app()).backups.take({ ifChanged: flags.ifChanged ?? false }, signal);
        return { report, text: (style) => createdView(report, style), exit: report.backup?.state === 'damaged' ? 65 : 0 };
      }),
    );
  maintenance
    .command('list-backups')
    .description('list the backups, newest first')
    .addHelpText('after', '\nExample:\n  dbkit maintenance list-backups --json')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.backups.list(signal);
        return { report, text: (style) => listView(report.backups, style, app.clock.now()) };
      }),
    );
  maintenance
    .command('cleanup')
    .description('remove the backups that retention no longer keeps')
    .option('-n, --dry-run', 'only say what would be removed, and why')
    .addHelpText('after', '\nExample:\n  dbkit maintenance cleanup --dry-run')
    .action((flags: { dryRun?: boolean }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const dryRun = flags.dryRun ?? false;
        const report = await (await app()).backups.expire({ dryRun }, signal);
        return { report, text: (style) => cleanupView(report, dryRun, style) };
      }),
    );
  maintenance
    .command('restart')
    .description('the same as `dbkit restart`')
    .argument('[service]', 'the name of the service')
    .addHelpText('after', '\nExample:\n  dbkit maintenance restart postgresql')
    .action((service: string | undefined, _flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).supervisor.restart(service, signal);
        return { report, text: () => `restarted ${service ?? 'all services'}` };
      }),
    );
}

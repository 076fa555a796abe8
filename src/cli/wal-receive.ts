import type { Command } from 'commander';
import type { Cli } from './cli.ts';

const ABOUT = `
It runs on the server's machine, as the server's user, and copies WAL from pg_wal as it becomes durable, across stops and starts of the server: no
restart, no archive_command. \`dbkit wal status\` shows how far it is. A slot holds WAL back for it where max_slot_wal_keep_size limits it.`;

/** `dbkit wal receive`: until it is told to stop. */
export function registerWalReceive(wal: Command, cli: Cli): void {
  wal
    .command('receive')
    .description('keep the WAL of a server that dbkit does not supervise, until it is stopped')
    .addHelpText('after', ABOUT)
    .addHelpText('after', '\nExample:\n  dbkit --cluster 15/main wal receive')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        await app.wal.receive(signal);
        return { report: { ended: app.clock.now().toISOString() }, text: () => '' };
      }),
    );
}

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type Failure, toFailure } from '../kernel/errors.ts';
import { counted } from '../kernel/units.ts';
import type { Cli } from './cli.ts';

interface Fetched {
  readonly name: string;
  readonly fetched: boolean;
  readonly failure: Failure | null;
}

const FETCHED = `
Answers 0 when it was fetched, 1 when it is not in the archive, and 126 for everything else: PostgreSQL then stops the recovery, where it would take
another status for the end of the archive.`;

/** `dbkit wal fetch` and `fetch-ahead`: what bin/dbkit-wal cannot do itself. */
export function registerWalFetch(wal: Command, cli: Cli): void {
  wal
    .command('fetch')
    .argument('<name>', 'a segment or a history file, as PostgreSQL names it (%f)')
    .argument('<path>', 'the file to write (%p)')
    .description('fetch one file from the archive; restore_command is bin/dbkit-wal, which asks for this only where it must')
    .addHelpText('after', FETCHED)
    .addHelpText('after', '\nExample:\n  dbkit wal fetch 00000001000000000000002A /tmp/segment')
    .action((name: string, path: string, _flags: object, command: Command) =>
      cli.run<Fetched>(command, async ({ app, signal, surroundings }) => {
        try {
          const fetched = await (await app()).wal.fetch(name, resolve(surroundings.workingDirectory, path), signal);
          return {
            report: { name, fetched, failure: null },
            text: () => (fetched ? '' : `${name} is not in the archive`),
            exit: fetched ? 0 : 1,
          };
        } catch (cause) {
          const failure = toFailure(cause);
          return { report: { name, fetched: false, failure }, text: () => `${name} could not be fetched: ${failure.message}`, exit: 126 };
        }
      }),
    );
  wal
    .command('fetch-ahead')
    .argument('<name>', 'the first segment, as PostgreSQL names it')
    .argument('<directory>', 'where to lay them out')
    .description('unpack a segment and the next ones for a recovery; bin/dbkit-wal asks for this where there is no zstd(1)')
    .addHelpText('after', '\nExample:\n  dbkit wal fetch-ahead 00000001000000000000002A /tmp/ahead')
    .action((name: string, directory: string, _flags: object, command: Command) =>
      cli.run(command, async ({ app, signal, surroundings }) => {
        const into = resolve(surroundings.workingDirectory, directory);
        const laid = await (await app()).wal.fetchAhead(name, into, signal);
        return { report: { name, directory: into, laid }, text: () => `${counted(laid, 'segment')} from ${name} on in ${into}` };
      }),
    );
}

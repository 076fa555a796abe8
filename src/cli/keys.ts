import { resolve } from 'node:path';
import type { Command } from 'commander';
import { failures } from '../kernel/errors.ts';
import type { Cli } from './cli.ts';
import { table } from './output/table.ts';

const STATES = {
  opens: 'the identity here opens it',
  'does-not-open': 'the identity here does not open it',
  absent: 'no identity here',
  none: 'not encrypted',
} as const;

/** `dbkit keys`: who can read the copies. */
export function registerKeys(program: Command, cli: Cli): void {
  const keys = program.command('keys').description('the age keys that copies elsewhere are encrypted with');
  keys
    .command('create')
    .description('create a key pair: the public key encrypts, the file decrypts')
    .argument('<file>', 'the file for the identity: a recovery sheet to print, readable by you alone')
    .addHelpText('after', '\nNothing is ever overwritten.\n\nExample:\n  dbkit keys create ~/dbkit-recovery.txt')
    .action((file: string, _flags: object, command: Command) =>
      cli.run(command, async ({ app, surroundings }) => {
        const report = await (await app()).keys.create(resolve(surroundings.workingDirectory, file));
        const text = [
          `public key: ${report.recipient}`,
          `identity:   ${report.file}`,
          '',
          'Add the public key to `recipients:` of a copy in dbkit.yaml. Print the file and keep it elsewhere: without it nobody reads the copies.',
        ].join('\n');
        return { report, text: () => text };
      }),
    );
  keys
    .command('check')
    .description('prove that an identity decrypts each copy, and list the public keys')
    .option('--identity <file>', 'this identity instead of the configured one')
    .addHelpText(
      'after',
      '\n78 when an identity that is given opens nothing. A machine that only writes copies needs none.\n\nExample:\n  dbkit keys check --identity /media/stick/dbkit-recovery.txt',
    )
    .action(({ identity }: { identity?: string }, command: Command) =>
      cli.run(command, async ({ app, surroundings }) => {
        const file = identity === undefined ? undefined : { file: resolve(surroundings.workingDirectory, identity) };
        const report = { copies: await (await app()).keys.check(file) };
        const rows = report.copies.map(({ copy, state, recipients, problem }) => [copy, problem ?? STATES[state], recipients.join(' ')]);
        const isBad = report.copies.some(({ state }) => state === 'does-not-open');
        return {
          report,
          text: () => (rows.length === 0 ? '`copies:` in dbkit.yaml names none' : table(rows, ['COPY', 'STATE', 'PUBLIC KEYS'])),
          exit: isBad ? failures['key.unusable'].exit : 0,
        };
      }),
    );
}

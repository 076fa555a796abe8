import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Dependence, RotatedCopy } from '../backups/offsite/rotate.ts';
import { failures } from '../kernel/errors.ts';
import { counted } from '../kernel/units.ts';
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
  registerRotation(keys, cli);
}

const ROTATION = `
First put the new public key into \`recipients:\` of the copy in dbkit.yaml (\`dbkit keys create\` makes one). From then on new objects are for the new
key alone, and a backup that is copied needs no other. This encrypts again what was there before, and reads it back; the old objects go a week later.
It needs the old identity once. A key that was stolen opens what its thief has copied already: then change the passwords in the data too.`;

function registerRotation(keys: Command, cli: Cli): void {
  keys
    .command('rotate')
    .description('encrypt each copy again, to the public keys that the configuration names now')
    .option('--identity <file>', 'the key file that opens what is there; it may hold several keys')
    .option('--copy <name>', 'only this copy (default: every configured copy)')
    .addHelpText('after', ROTATION)
    .addHelpText('after', '\nExample:\n  dbkit keys rotate --identity ~/old-recovery.txt')
    .action(({ identity, copy }: { identity?: string; copy?: string }, command: Command) =>
      cli.run(command, async ({ app: open, surroundings, signal }) => {
        const app = await open();
        const place = identity === undefined ? undefined : { file: resolve(surroundings.workingDirectory, identity) };
        const copies: ({ copy: string } & RotatedCopy)[] = [];
        for (const name of copy === undefined ? Object.keys(app.config.copies) : [copy])
          copies.push({ copy: name, ...(await app.offsite.rotate(name, place, signal)) });
        const rows = copies.map((one) => [
          one.copy,
          `${counted(one.backups.length, 'backup')} and ${counted(one.walObjects, 'object')} of WAL encrypted again`,
          `${counted(one.current.length, 'backup')} needed nothing`,
        ]);
        return { report: { copies }, text: () => (rows.length === 0 ? '`copies:` in dbkit.yaml names none' : table(rows)) };
      }),
    );
  keys
    .command('list')
    .description('list the public keys of each copy, and what there still needs a key of before')
    .addHelpText('after', '\nIt needs no identity.\n\nExample:\n  dbkit keys list')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const copies: ({ copy: string; recipients: readonly string[] } & Dependence)[] = [];
        for (const [name, { recipients }] of Object.entries(app.config.copies))
          copies.push({ copy: name, recipients, ...(await app.offsite.keys(name, signal)) });
        const rows = copies.map((one) => [
          one.copy,
          one.recipients.join(' ') || 'not encrypted',
          one.older.length === 0 && one.wal !== 'older'
            ? 'nothing depends on a key of before'
            : `a key of before is needed for ${[...one.older, ...(one.wal === 'older' ? ['the WAL'] : [])].join(', ')}: \`dbkit keys rotate\``,
        ]);
        return {
          report: { copies },
          text: () => (rows.length === 0 ? '`copies:` in dbkit.yaml names none' : table(rows, ['COPY', 'PUBLIC KEYS', 'STATE'])),
        };
      }),
    );
}

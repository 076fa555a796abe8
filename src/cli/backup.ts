import { type Command, InvalidArgumentError, Option } from 'commander';
import { SIZE } from '../kernel/units.ts';
import { limitArgument } from './arguments.ts';
import { cleanupView, createdView, listView, showView, verifyView } from './backup-views.ts';
import type { Cli } from './cli.ts';
import { registerCopies } from './copies.ts';
import { registerFind } from './find-backup.ts';
import { inspectView, isDamaged } from './inspect.ts';
import { cleanUpCopy, listCopy, registerOffsite, verifyCopy } from './offsite.ts';
import type { Style } from './output/style.ts';
import { registerRestore } from './restore.ts';

const DAMAGED = 65;
/** The automatic backup after a start takes seconds; a person who asks meanwhile need not ask twice. */
const WAIT_MS = 60_000; // Longer than most backups take; whoever comes in a crowd is told that it is locked (75).

export function registerBackup(program: Command, cli: Cli): void {
  const backup = program
    .command('backup')
    .description('take, list, verify and restore backups')
    .addHelpText('after', '\nExamples:\n  dbkit backup create --note "before the upgrade" --pin\n  dbkit backup list');
  registerCreate(backup, cli);
  registerLooks(backup, cli);
  registerFind(backup, cli);
  registerKeeping(backup, cli);
  registerRestore(backup, cli);
  registerCopies(backup, cli);
  registerOffsite(backup, cli);
}

interface CreateFlags {
  readonly engine?: string;
  readonly full?: boolean;
  readonly lowPriority?: boolean;
  readonly rateLimit?: string;
  readonly ifChanged?: boolean;
  readonly ifCarrier?: boolean;
  readonly note?: string;
  readonly pin?: boolean;
  readonly database?: readonly string[];
  readonly all?: boolean;
  readonly rolePasswords?: boolean;
}

function sizeArgument(text: string): string {
  if (SIZE.test(text)) return text;
  throw new InvalidArgumentError("expected a size like '512kB' or '50MB'.");
}

function registerCreate(backup: Command, cli: Cli): void {
  backup
    .command('create')
    .description('take a backup of the instance as it is, running or stopped')
    .option('--engine <name>', 'copy (the files; the default) or dump (pg_dump, for other versions and single databases)')
    .option('--database <name...>', 'dump: only these databases (default: every database with objects of yours)')
    .option('--all', 'dump: every database, also the one named postgres')
    .option('--role-passwords', 'dump: also keep the password hashes of the roles, in a file that only its owner can read')
    .option('--full', 'copy everything, share nothing with earlier backups')
    .addOption(new Option('--rate-limit <size>', 'read at most this much in a second, such as 50MB').argParser(sizeArgument))
    .option('--low-priority', 'use the lowest priority for processor and disk')
    .option('--if-changed', 'only when something was written since the last backup')
    .option('--if-carrier', 'in a cluster: only on the member whose turn it is (ha.backupFrom); for timers, which every member has')
    .option('--note <text>', 'a note that `backup list` shows')
    .option('--pin', 'keep it until the pin is removed')
    .addHelpText(
      'after',
      '\nIt is published whole or not at all; Ctrl-C leaves nothing. 65 when it holds damaged pages: it is kept, and does not count as good.\n\nExamples:\n  dbkit backup create\n  dbkit backup create --note "before the upgrade" --pin',
    )
    .action(({ ifChanged = false, all = false, database, ...flags }: CreateFlags, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).backups.take(
          { ...flags, databases: all ? 'all' : database, ifChanged, waitMs: WAIT_MS },
          signal,
        );
        return { report, text: (style) => createdView(report, style), exit: report.backup?.state === 'damaged' ? DAMAGED : 0 };
      }),
    );
}

interface VerifyFlags {
  readonly all?: boolean;
  readonly deep?: boolean;
  readonly test?: boolean;
  readonly trust?: boolean;
  readonly copy?: string;
  readonly againstData?: boolean;
}

function registerLooks(backup: Command, cli: Cli): void {
  backup
    .command('list')
    .description('list the backups, newest first')
    .option('--copy <name>', 'list the backups of this copy elsewhere instead')
    .option('--before <time>', 'only those made before this time (the server’s zone unless it says one)')
    .addOption(new Option('--limit <number>', 'at most this many').argParser(limitArgument))
    .addHelpText('after', '\nExamples:\n  dbkit backup list --json\n  dbkit backup list --before "2026-01-13 10:00" --limit 5')
    .action(({ copy, before, limit }: { copy?: string; before?: string; limit?: number }, command: Command) =>
      cli.run<object>(command, async ({ app: open, signal }) => {
        const app = await open();
        const moment = await app.restore.point({ to: before }, signal);
        const beforeMs = moment?.to === 'time' ? Number(BigInt(moment.value) / 1000n) : undefined;
        if (copy !== undefined) return listCopy(app, copy, { beforeMs, limit }, signal);
        const report = await app.backups.list(signal, { beforeMs, limit });
        return { report, text: (style) => listView(report.backups, style, app.clock.now()) };
      }),
    );
  backup
    .command('show')
    .description('show everything about one backup')
    .argument('<label>', 'its label; `latest` is the newest good backup')
    .addHelpText('after', '\nExample:\n  dbkit backup show latest')
    .action((label: string, _flags: object, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.backups.show(label, signal);
        return { report, text: (style) => showView(report, style, app.clock.now()) };
      }),
    );
  backup
    .command('verify')
    .description('read backups again and compare every byte with what was written')
    .argument('[labels...]', 'their labels; none: those never verified, or the one verified longest ago')
    .option('-a, --all', 'verify all backups; shared files are read once')
    .option('--deep', 'also check page checksums, and the WAL from the first record to the last')
    .option('--copy <name>', 'verify every stored byte of this copy elsewhere instead; without a label, all its backups')
    .addOption(
      new Option('--against-data', 'also hold every page of the data against the newest good base backup and the WAL since').conflicts(
        'copy',
      ),
    )
    .option('--test', 'dump: also restore into a scratch database and count the rows')
    .option('--trust', 'with --test: let a superuser run the SQL of a dump that was not made here, because you know who made it')
    .addHelpText(
      'after',
      '\nThe result is remembered and shown by `dbkit backup list`. 65 when one is damaged.\n\nExamples:\n  dbkit backup verify latest --deep\n  dbkit backup verify --all\n  dbkit backup verify latest --against-data',
    )
    .action((labels: string[], flags: VerifyFlags, command: Command) =>
      cli.run<object>(command, async ({ app, signal }) => {
        if (flags.copy !== undefined) return verifyCopy(await app(), flags.copy, labels, signal);
        const { backups, inspect } = await app();
        const report = await backups.verify(
          { labels, all: flags.all ?? false, deep: flags.deep ?? false, test: flags.test ?? false, isTrusted: flags.trust ?? false },
          signal,
        );
        const data = flags.againstData ? await inspect({ deep: true }, signal) : null;
        const isSound = report.backups.every(({ ok }) => ok) && (data === null || !isDamaged(data));
        const text = (style: Style): string => [verifyView(report, style), ...(data ? [inspectView(data, style)] : [])].join('\n\n');
        return { report: { ...report, data }, text, exit: isSound ? 0 : DAMAGED };
      }),
    );
}

function registerKeeping(backup: Command, cli: Cli): void {
  backup
    .command('cleanup')
    .description('remove what retention no longer keeps, and say why')
    .option('-n, --dry-run', 'only say what would be removed')
    .option('--copy <name>', 'apply the retention of this copy elsewhere instead; objects go a week later')
    .addHelpText('after', '\nExamples:\n  dbkit backup cleanup --dry-run\n  dbkit backup cleanup --copy offsite --dry-run')
    .action((flags: { dryRun?: boolean; copy?: string }, command: Command) =>
      cli.run<object>(command, async ({ app, signal }) => {
        const dryRun = flags.dryRun ?? false;
        if (flags.copy !== undefined) return cleanUpCopy(await app(), flags.copy, dryRun, signal);
        const report = await (await app()).backups.expire({ dryRun }, signal);
        return { report, text: (style) => cleanupView(report, dryRun, style) };
      }),
    );
  backup
    .command('pin')
    .description('keep a backup whatever retention says')
    .argument('<label>', 'its label; `latest` is the newest good backup')
    .option('--remove', 'remove the pin')
    .addHelpText('after', '\nExamples:\n  dbkit backup pin latest\n  dbkit backup pin --remove data_20261120_195400')
    .action((label: string, flags: { remove?: boolean }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).backups.pin(label, !flags.remove, signal);
        const said = flags.remove ? 'is no longer pinned: retention decides' : 'is pinned: it never expires';
        return { report, text: () => `${report.backup.label} ${said}` };
      }),
    );
}

import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { FoundBackup } from '../backups/backup.ts';
import type { PointRequest } from '../backups/base/points/point.ts';
import { requireDump } from '../backups/find-backup.ts';
import type { LoadReport } from '../backups/load-dump.ts';
import { loadDump } from '../backups/load-dump.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { RestoreReport } from '../restore/contract.ts';
import type { CopyReport, TablesReport } from '../restore/copies-contract.ts';
import type { PointFlags } from '../restore/read-point.ts';
import type { replaceData } from '../supervisor/replace-data.ts';
import type { App } from './app.ts';
import { choiceView } from './backup-views.ts';
import type { Answer, Call, Cli } from './cli.ts';
import { drawn } from './output/printable.ts';
import { choose, confirm } from './output/prompt.ts';
import { withPoint } from './point-options.ts';
import { automaticBackup } from './relaunch.ts';
import { copyView, loadView, restoreView, tablesView } from './restore-views.ts';

interface RestoreFlags extends PointFlags {
  readonly dryRun?: boolean;
  readonly bootTest?: boolean;
  readonly target?: string;
  readonly database?: string;
  readonly into?: string;
  readonly trust?: boolean;
  readonly table?: readonly string[];
  readonly from?: string;
  readonly identity?: string;
  readonly systemIdentifier?: string;
}

/** `backup restore` and `backup undo`: each the other's inverse. */
export function registerRestore(backup: Command, cli: Cli): void {
  withPoint(
    backup
      .command('restore')
      .description('restore the data from a backup; the replaced data is kept')
      .argument('[label]', 'its label; `latest` is the newest good backup; none: choose from a list')
      .option('-n, --dry-run', 'show the plan; change nothing')
      .option('--boot-test', 'start the copy beside the data before it takes its place (default: when there is room)')
      .option('--no-boot-test', 'do not start the copy first')
      .option('--target <dir>', 'into this empty directory instead; the instance is left alone. With --port: the port the copy is to have')
      .option('--table <schema.name...>', 'only these tables, from a base backup or a dump; nothing is replaced')
      .option('--from <name>', 'first fetch the backup and its WAL from this copy elsewhere')
      .option('--identity <file>', 'with --from: the key file that opens the copy; default: the configured one')
      .option('--system-identifier <number>', 'with --from: the cluster, where the copy holds several')
      .option('--database <name>', 'for a dump or --table: the database')
      .option('--into <name>', 'for a dump: restore as a new database of this name; nothing is replaced')
      .option('--trust', 'for a dump that was not made here: let a superuser run its SQL, because you know who made it'),
  )
    .addHelpText(
      'after',
      '\nWhere dbkit supervises the server, it is stopped for the swap only, and the container lives on. `dbkit backup undo` takes it back.\n\nExamples:\n  dbkit backup restore latest --dry-run\n  dbkit backup restore data_20261120_195400 --yes\n  dbkit backup restore dump_20261120_200000 --database app --into app_yesterday\n  dbkit backup restore latest --table public.orders\n  dbkit backup restore --to "2026-11-20 19:54:00+00" --dry-run\n  dbkit backup restore --before "drop table orders" --yes',
    )
    .action((label: string | undefined, flags: RestoreFlags, command: Command) =>
      cli.run<RestoreReport | CopyReport | LoadReport | TablesReport>(command, async (call) => {
        const app = await call.app();
        const point = await app.restore.point(flags, call.signal);
        const named =
          flags.from === undefined ? label : await fromCopy(app, call, label ?? 'latest', { ...flags, from: flags.from, point });
        if (point && flags.table === undefined && flags.target === undefined)
          return replace(app, call, {
            source: 'backup',
            label: named ?? 'latest',
            bootTest: undefined,
            dryRun: flags.dryRun ?? false,
            point,
          });
        const found = point
          ? (await app.restore.pointBackup({ point, label: named ?? 'latest' }, call.signal)).found
          : await app.backups.find(named ?? (await chooseBackup(app, call)), call.signal);
        if (flags.target !== undefined) return copy(app, call, found, { ...flags, target: flags.target, point });
        if (flags.table) return bring(app, call, found, { ...flags, table: flags.table, point });
        if (found.of.kind === 'logical') return load(call, found, flags);
        const { label: source } = found.backup;
        return replace(app, call, { source: 'backup', label: source, found, bootTest: flags.bootTest, dryRun: flags.dryRun ?? false });
      }),
    );
  backup
    .command('undo')
    .description('undo the last restore; the data that is there now is kept too')
    .argument('[label]', 'the label of the replaced data; none: the newest')
    .option('-n, --dry-run', 'show the plan; change nothing')
    .addHelpText('after', '\nExamples:\n  dbkit backup undo --dry-run\n  dbkit backup undo --yes')
    .action((label: string | undefined, flags: RestoreFlags, command: Command) =>
      cli.run(command, async (call) =>
        replace(await call.app(), call, {
          source: 'replaced',
          label: label ?? 'latest',
          bootTest: undefined,
          dryRun: flags.dryRun ?? false,
        }),
      ),
    );
}

/** The label, which is in the repository by then. */
const fromCopy = (
  app: App,
  { surroundings, signal }: Call,
  label: string,
  { from, identity, systemIdentifier, point }: RestoreFlags & { readonly from: string; readonly point: PointRequest | undefined },
): Promise<string> => {
  const file = identity === undefined ? undefined : { file: resolve(surroundings.workingDirectory, identity) };
  return app.offsite.bring(from, label, { identity: file, systemIdentifier, point }, signal);
};

/** Both ends are a terminal and nobody automates it. */
export const mayAsk = ({ surroundings: { terminal, environment } }: Call): boolean =>
  terminal.stdin && terminal.stderr && !environment['CI'];

async function replace(app: App, call: Call, request: Parameters<typeof replaceData>[1]): Promise<Answer<RestoreReport>> {
  const { flags, style, signal, surroundings } = call;
  const now = app.clock.now();
  const ask = async (plan: RestoreReport): Promise<boolean> => {
    if (!flags.yes && !flags.json) surroundings.terminal.writeError(`${drawn(style, (look) => restoreView(plan, look, now))}\n\n`);
    return confirm('Replace the data as planned?', { mayAsk: mayAsk(call), yes: flags.yes ?? false });
  };
  const report = await app.restore.replace(request, ask, signal);
  if (report.downtimeMs !== null) {
    // The data is on a timeline of its own now: only a backup of it can be rolled forward.
    const backup = automaticBackup(surroundings, flags);
    const begun = await app.backups.begin(backup, { outlivesDbkit: true });
    if (begun) app.log.info('backup.begun', 'taking a backup of the data as it is now, in the background');
  }
  return { report, text: () => restoreView(report, style, now) };
}

/** A dump takes the place of one database, which is kept under another name; the rest of the instance goes on. */
async function load(call: Call, found: FoundBackup, { database, into, trust, dryRun }: RestoreFlags): Promise<Answer<LoadReport>> {
  if (dryRun)
    throw new DbkitError('usage.invalid', 'a dump is checked beside what is there before anything is replaced: --dry-run is not needed');
  const question = `Replace the database ${database ?? 'of the dump'}? It is kept under another name.`;
  const replace = (): Promise<boolean> => confirm(question, { mayAsk: mayAsk(call), yes: call.flags.yes ?? false });
  const report = await loadDump(requireDump(found), { database, into, isTrusted: trust ?? false }, replace, call.signal);
  return { report, text: () => loadView(report) };
}

/** Nothing to ask: what is there stays. */
async function bring(
  app: App,
  { signal }: Call,
  found: FoundBackup,
  {
    table: tables,
    database,
    into,
    trust,
    dryRun,
    point,
  }: RestoreFlags & { readonly table: readonly string[]; readonly point: PointRequest | undefined },
): Promise<Answer<TablesReport>> {
  if (dryRun || into !== undefined)
    throw new DbkitError(
      'usage.invalid',
      `--table goes together with neither --dry-run nor --into: nothing is replaced, a table that is there keeps its place`,
    );
  const report = await app.restore.copies.bringTables(found, { tables, database, point, isTrusted: trust ?? false }, signal);
  return { report, text: () => tablesView(report) };
}

async function copy(
  app: App,
  { flags: { port }, surroundings, signal }: Call,
  found: FoundBackup,
  flags: RestoreFlags & { readonly target: string; readonly point: PointRequest | undefined },
): Promise<Answer<CopyReport>> {
  if (flags.dryRun) throw new DbkitError('usage.invalid', '--dry-run and --target do not go together: a copy replaces nothing');
  const directory = resolve(surroundings.workingDirectory, flags.target);
  const report = await app.restore.copies.copyTo(found, { directory, port, bootTest: flags.bootTest, point: flags.point }, signal);
  return { report, text: (style) => copyView(report, style) };
}

async function chooseBackup(app: App, call: Call): Promise<string> {
  const { backups } = await app.backups.list(call.signal);
  if (!mayAsk(call) || call.flags.json)
    throw new DbkitError('usage.invalid', 'no backup is named', {
      hint: 'name one of `dbkit backup list`, or `latest` for the newest good one',
    });
  if (backups.length === 0) throw new DbkitError('backup.missing', 'there is no backup yet', { hint: '`dbkit backup create` takes one' });
  return choose('Restore which backup?', choiceView(backups, call.style, app.clock.now()));
}

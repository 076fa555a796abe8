import type { Command } from 'commander';
import type { TurnReport } from '../backups/snapshots/contract.ts';
import type { CheckoutVerdict, FollowReport } from '../homes/git/follow-branches.ts';
import { DbkitError } from '../kernel/errors.ts';
import { counted, roughly } from '../kernel/units.ts';
import type { Cli } from './cli.ts';
import { handedOn } from './global-flags.ts';
import { hookView } from './hooks.ts';
import { DATABASE_FLAG, databaseOf, type SnapshotFlags } from './snapshot-database.ts';

const OFF = 'off: `dbkit snapshot auto off`';

/** Each branch of a project with its own data: switching it on and off, and what the hook itself runs. */
export function registerSnapshotAuto(snapshot: Command, cli: Cli): void {
  const auto = snapshot
    .command('auto')
    .description('follow git: each branch of this project has its own data')
    .addHelpText('after', '\nExample:\n  dbkit snapshot auto on');
  auto
    .command('on')
    .description('add a post-checkout hook; the data of now belongs to the branch of now')
    .addHelpText(
      'after',
      '\nNothing happens on a detached HEAD, nor during a rebase, merge or bisect. A hook that is there stays.\n\nExample:\n  dbkit snapshot auto on',
    )
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app: open, flags, surroundings: { workingDirectory: directory, program }, signal }) => {
        const asCaller = await open({ asCaller: true });
        const report = await asCaller.followed.on({ directory, program, flags: handedOn(flags) }, signal);
        const app = await open();
        const database = databaseOf({}, app.config);
        await app.snapshots.nameBranch({ database, branch: report.branch }, signal).catch(async (cause: unknown) => {
          await asCaller.followed.off({ directory }, signal).catch(() => undefined); // Without the server nobody knows whose data this is.
          throw cause;
        });
        return { report, text: (style) => `${hookView(report, style)}\n${onView(report, database)}` };
      }),
    );
  auto
    .command('off')
    .description('remove the hook; the data of every branch stays, as snapshots')
    .addHelpText('after', '\nExample:\n  dbkit snapshot auto off')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, surroundings: { workingDirectory: directory }, signal }) => {
        const report = await (await app({ asCaller: true })).followed.off({ directory }, signal);
        return { report, text: (style) => `${hookView(report, style)}\nthe data of other branches stays: \`dbkit snapshot list\`` };
      }),
    );
  registerRun(auto, cli);
}

function registerRun(auto: Command, cli: Cli): void {
  auto
    .command('run')
    .description('give the branch that is checked out its own data; the hook runs it')
    .argument('[previous]', 'what HEAD was')
    .argument('[current]', 'what it is')
    .argument('[kind]', '1 for a branch, 0 for files')
    .option(...DATABASE_FLAG)
    .addHelpText(
      'after',
      '\nWhere the branch was here before, two databases change their names, and nothing is copied.\n\nExample:\n  dbkit snapshot auto run',
    )
    .action(
      (previous: string | undefined, _current: string | undefined, flag: string | undefined, flags: SnapshotFlags, command: Command) =>
        cli.run<CheckoutVerdict | TurnReport>(command, async ({ app: open, surroundings: { workingDirectory: directory }, signal }) => {
          const verdict = await (await open({ asCaller: true })).followed.judge({ directory, previous, flag }, signal);
          const { then, branch, because, left } = verdict;
          if (then === 'ignore' || branch === null)
            return { report: verdict, text: () => (flag === undefined ? `nothing to do: ${because}` : '') };
          const app = await open();
          const report = await app.snapshots
            .turn({ database: databaseOf(flags, app.config), to: branch, left: left === branch ? null : left }, signal)
            .catch((cause: unknown) => {
              throw notFollowed(cause, branch);
            });
          return { report, text: () => turnView(report) };
        }),
    );
}

/** The words of the failure, and how to go on. */
function notFollowed(cause: unknown, branch: string): unknown {
  if (!(cause instanceof DbkitError)) return cause;
  return new DbkitError(cause.code, `the data stays as it was before ${branch} was checked out: ${cause.message}`, {
    hint: `\`dbkit snapshot auto run\` tries again; ${OFF}`,
    cause,
  });
}

const onView = ({ branch }: FollowReport, database: string): string =>
  branch === null
    ? `from the next branch on, each has its own data in ${database}; ${OFF}`
    : `the data of ${database} is that of the branch ${branch}; every other branch gets its own; ${OFF}`;

/** One line: what it did, and how to end it. */
export function turnView({ outcome, database, from, to, endedSessions, durationMs, missing }: TurnReport): string {
  const how = `(${roughly(durationMs / 1000)}${endedSessions === 0 ? '' : `, ${counted(endedSessions, 'session')} ended`}); ${OFF}`;
  const done = {
    stay: '',
    name: `dbkit: the data of ${database} belongs to ${to} from now on ${how}`,
    exchange: `dbkit: the data of ${from} is saved, and ${database} is as ${to} left it ${how}`,
    copy: `dbkit: the data of ${from} is saved, and ${to} begins with the same ${how}`,
  }[outcome];
  return [done, ...missing.map(({ what, because }) => `restored differently: ${what}: ${because}`)].join('\n');
}

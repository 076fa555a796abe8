import { type Command, Option } from 'commander';
import type {
  ReachableEvent,
  ReachableMoments,
  ReachablePlace,
  ReachableSpan,
  ReachableTimeline,
} from '../backups/base/points/reachable.ts';
import { counted } from '../kernel/units.ts';
import type { RestorePointReport } from '../restore/make-restore-point.ts';
import { timelineArgument } from './arguments.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

const READS = `
It reads all WAL that is kept, record by record. The latest moment is a second behind the server while that runs. Times are UTC, as --to takes them.
--json has the commits of each minute too.`;

const NAMED = `
It writes one record to the WAL (pg_create_restore_point) and changes no data. It is refused on a standby, and where wal_level is minimal.
A name that is used twice means no moment any more: then name the LSN.`;

/** `dbkit timeline`: the moments that can be brought back. */
export function registerTimeline(program: Command, cli: Cli): void {
  program
    .command('timeline')
    .description('show which moments can be restored, and what happened in them')
    .addOption(new Option('--timeline <number>', 'only this timeline').argParser(timelineArgument))
    .addHelpText('after', READS)
    .addHelpText('after', '\nExamples:\n  dbkit timeline\n  dbkit timeline --json')
    .action(({ timeline }: { readonly timeline?: number }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).moments.timeline(timeline, signal);
        return { report, text: (style) => timelineView(report, style) };
      }),
    );
}

/** `dbkit restore-point`: a moment with a name. */
export function registerRestorePoint(program: Command, cli: Cli): void {
  program
    .command('restore-point')
    .description('give this moment a name that the data can be restored to')
    .argument('<name>', 'at most 63 bytes; choose one that was not used before')
    .addHelpText('after', NAMED)
    .addHelpText('after', '\nExamples:\n  dbkit restore-point before-release\n  dbkit backup restore --to-name before-release --dry-run')
    .action((name: string, _flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).moments.name(name, signal);
        return { report, text: (style) => restorePointView(report, style) };
      }),
    );
}

/** Pure. */
export function restorePointView({ name, lsn, timeline, backup }: RestorePointReport, style: Style): string {
  const made = `restore point ${style.strong(name)} at LSN ${lsn} on timeline ${timeline}`;
  if (backup === null) return `${made}\nHINT: take a base backup first, then make the restore point: \`dbkit backup create\``;
  return `${made}\nback to it: \`dbkit backup restore --to-lsn ${lsn} --timeline ${timeline}\`, or --to-name with its name`;
}

/** As PostgreSQL writes it, and as --to takes it. */
const time = (at: string): string => at.replace('T', ' ').replace('Z', '+00');
const place = ({ at, lsn }: ReachablePlace): string => (at === null ? `LSN ${lsn}` : `${time(at)} (LSN ${lsn})`);

const endings: Record<ReachableSpan['ends'], string> = {
  end: 'nothing follows',
  gap: 'then WAL is missing',
  minimal: 'then the server ran with wal_level = minimal',
  damaged: 'then a segment is damaged',
};

/** Pure. */
export function timelineView({ timelines, latest }: ReachableMoments, style: Style): string {
  const last = latest
    ? `the latest moment is ${style.strong(place(latest))}: \`dbkit backup restore --to latest\``
    : style.warn('no moment of the timeline that the data is on can be brought back: `dbkit backup create`');
  return [...timelines.map((one) => lineView(one, style)), last].join('\n\n');
}

function lineView(one: ReachableTimeline, style: Style): string {
  const fork = one.forkedFrom ? `, from timeline ${one.forkedFrom.timeline} at LSN ${one.forkedFrom.lsn}` : '';
  const heading = style.strong(`timeline ${one.timeline}${one.current ? ' (the data is on it)' : ''}`);
  if (one.problem !== null) return `${heading}\n${style.warn(one.problem)}`;
  const spans = one.spans.map(({ label, from, to, commits, ends, problem }) => [
    `from ${place(from)}`,
    `to ${place(to)}`,
    counted(commits, 'commit'),
    `by ${label}`,
    ends === 'end' ? endings.end : style.warn(problem ?? endings[ends]),
  ]);
  const gaps = one.gaps.map(({ from, to }) => style.warn(`nothing can be brought back between ${place(from)} and ${place(to)}`));
  const backups = one.backups.map(({ label, state }) => `${label}${state === 'damaged' ? ` (${style.bad(state)})` : ''}`);
  const events = one.events.map((event) => [
    time(event.at),
    eventWords(event),
    event.xid === null ? '' : `xid ${event.xid}`,
    `LSN ${event.lsn}`,
  ]);
  return [
    `${heading}${fork}`,
    spans.length > 0 ? table(spans) : style.warn('no backup leads here'),
    ...gaps,
    ...(backups.length > 0 ? [`base backups: ${backups.join(', ')}`] : []),
    ...(events.length > 0 ? [table(events)] : []),
  ].join('\n');
}

/** 'drop of public.orders in app'. */
function eventWords({ kind, names, database, rows }: ReachableEvent): string {
  const what = names.join(', ');
  const words: Record<ReachableEvent['kind'], string> = {
    drop: `DROP of ${what} in ${database}`,
    truncate: `TRUNCATE of ${what} in ${database}`,
    rewrite: `${what} in ${database} was rewritten`,
    'drop-database': `DROP DATABASE ${what}`,
    delete: `DELETE of ${counted(rows, 'row')} of ${what} in ${database}`,
    'restore-point': `restore point '${what}'`,
    restart: 'the server stopped',
    timeline: 'the timeline began',
  };
  return words[kind];
}

import type { PointPlan, TransactionMoment } from '../backups/base/points/point.ts';
import type { LoadReport } from '../backups/load-dump.ts';
import { bytes, duration, moment } from '../kernel/units.ts';
import type { RestoreReport } from '../restore/contract.ts';
import type { CopyReport, TablesReport } from '../restore/copies-contract.ts';
import { formatMicros } from '../wal/moments/moment.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

/** The plan before, the outcome after: what, from where, how much, and what becomes of today's data. */
export function restoreView(report: RestoreReport, style: Style, now: Date): string {
  return report.done ? outcome(report, style) : plan(report, style, now);
}

function plan({ source, target, point, neededBytes, freeBytes, bootTest, warnings }: RestoreReport, style: Style, now: Date): string {
  const undo = source.kind === 'replaced';
  const age = duration(Math.max(0, (now.getTime() - Date.parse(source.createdAt)) / 1000));
  const worth = [source.state, source.note && `“${source.note}”`].filter(Boolean).join(', ');
  const server = target.serverRuns
    ? undo
      ? 'is stopped, the data is swapped, it is started again; dbkit and its command live on'
      : 'goes on while the copy is made; is stopped for the swap and started again; dbkit and its command live on'
    : 'does not run';
  const today =
    target.state === 'empty' ? `${target.dataDir} is empty: nothing is replaced` : 'is kept whole; `dbkit backup undo` brings it back';
  const rows = [
    [undo ? 'bring back' : 'restore', `${style.strong(source.label)}${worth ? ` (${worth})` : ''}`],
    [undo ? 'replaced' : 'made', `${moment(source.createdAt)}, ${age} ago`],
    ...(point === null ? [] : pointRows(point)),
    ['into', `${target.dataDir}, PostgreSQL ${source.pgVersion}`],
    ...(target.state === 'empty' ? [] : [['holds now', `${bytes(target.sizeBytes)}, cluster ${target.systemIdentifier ?? 'not known'}`]]),
    ["today's data", today],
    ['gone from view', goneFromView(undo, source.createdAt, point)],
    ['server', server],
    ['space', undo ? 'none: the data is swapped by renames' : `${bytes(neededBytes)} of ${bytes(freeBytes)} free beside the data`],
    ...(undo ? [] : [['boot test', `${bootTest.planned ? 'yes' : 'no'}: ${bootTest.because}`]]),
    ...warnings.map((warning) => [style.warn('mind'), style.warn(warning)]),
  ];
  return table(rows.map(([name, value]) => [style.dim(name!), value!]));
}

/** Times with microseconds: two commits of one second are two moments. */
export function pointRows({ timeline, stopBefore, lastCommit, nextCommit, because, walBytes, until }: PointPlan): string[][] {
  if (until !== undefined) return [['up to', `${until ?? 'the end of the WAL'} on timeline ${timeline}: ${because}`]];
  const told = ({ xid, lsn, atMicros }: TransactionMoment): string => `${formatMicros(BigInt(atMicros))} (transaction ${xid}, LSN ${lsn})`;
  return [
    ['up to', `${stopBefore === null ? 'the end of the WAL' : `LSN ${stopBefore}`} on timeline ${timeline}: ${because}`],
    ['last commit in', lastCommit === null ? 'none behind the backup' : told(lastCommit)],
    ...(nextCommit === null ? [] : [['first left out', told(nextCommit)]]),
    ['WAL', `${bytes(walBytes)} beside the backup's own`],
  ];
}

function goneFromView(undo: boolean, createdAt: string, point: PointPlan | null): string {
  if (undo) return `what was written since ${moment(createdAt)}`;
  if (point === null) return `what was committed after ${moment(createdAt)}`;
  if (point.until) return `what was committed after ${point.until}`;
  return point.stopBefore === null ? 'what the WAL does not hold' : `what was committed from LSN ${point.stopBefore} on`;
}

function outcome({ source, target, bootTest, recoveredTo, durationMs, downtimeMs }: RestoreReport, style: Style): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const proof = bootTest.databases ? `; the copy had been started before, and its ${bootTest.databases} databases answered` : '';
  return [
    `${style.good(source.kind === 'backup' ? 'restored' : 'brought back')} ${style.strong(source.label)}: the data is as it was at ${moment(recoveredTo)}`,
    downtimeMs === null
      ? `took ${seconds(durationMs)}${proof}; no server runs: \`dbkit up --detach\` starts it`
      : `took ${seconds(durationMs)}, of which no server answered for ${seconds(downtimeMs)}${proof}`,
    ...(target.quarantine === null ? [] : [`what was there is whole in ${target.quarantine}; \`dbkit backup undo\` brings it back`]),
  ].join('\n');
}

export function copyView({ label, directory, port, sizeBytes, databases, durationMs }: CopyReport, style: Style): string {
  const proof = databases === null ? '' : `; it was started once, and its ${databases} databases answered`;
  return [
    `${style.good('copied')} ${style.strong(label)} to ${directory}: ${bytes(sizeBytes)} in ${(durationMs / 1000).toFixed(1)} s${proof}`,
    `it archives nothing and is nobody's replica; start it with \`pg_ctl -D ${directory} start\`${port === null ? ', on a port of its own (-o "-p PORT")' : ` (port ${port})`}`,
  ].join('\n');
}

/** The rows that a dump has brought back, and where what it replaced is. */
export function loadView({ label, database, into, replaced, tables, rows, missing, short }: LoadReport): string {
  const kept = replaced === null ? [] : [`what was there is whole in the database ${replaced}; drop it when you are sure`];
  const lacking = missing.map(({ what, because }) => `restored differently: ${what}: ${because}`);
  const came = short.length === 0 ? `${tables} tables, ${rows} rows, counted` : `not all of its ${rows} rows in ${tables} tables came back`;
  return [`restored ${database} of ${label} as ${into}: ${came}`, ...kept, ...lacking].join('\n');
}

/** Where each table is now, and what a person may do with those that lie beside. */
export function tablesView({
  label,
  database,
  tables,
  missing: lacking,
  foreignKeysLeftOut,
  suggestions: [differs, missing, over],
}: TablesReport): string {
  return [
    ...tables.map(({ table: name, place, isInPlace, taken, rows }) =>
      isInPlace
        ? `${name} of ${label} is back in ${database}: ${rows} rows, counted`
        : taken.includes(name)
          ? `${name} is there, so that of ${label} lies beside it as ${place}: ${rows} rows, counted`
          : `${taken.join(', ')} is in the way, so ${name} of ${label} lies beside it as ${place}: ${rows} rows, counted`,
    ),
    ...lacking.map(({ what, because }) => `restored differently: ${what}: ${because}`),
    ...foreignKeysLeftOut.map((sql) => `this foreign key was left out: ${sql};`),
    ...(over ? [`what differs: ${differs}`, `what is missing comes back with: ${missing}`, `when you are done: ${over}`] : []),
  ].join('\n');
}

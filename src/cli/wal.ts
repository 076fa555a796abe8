import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { type Lsn, parseLsn } from '../formats/wal-segment.ts';
import { DbkitError, failures } from '../kernel/errors.ts';
import { bytes, counted, moment, roughly } from '../kernel/units.ts';
import type { WalExpiry } from '../restore/kept-wal.ts';
import type { WalStatus } from '../wal/status.ts';
import { type WalRange, type WalVerification, walProblems } from '../wal/verify.ts';
import type { App } from './app.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { copyRows, registerWalCopy } from './wal-copy.ts';
import { registerWalFetch } from './wal-fetch.ts';
import { registerWalReceive } from './wal-receive.ts';

const KEPT = `
The supervisor keeps the WAL of instances that dbkit has initialised, in BACKUP_DIR/wal; DBKIT_WAL=tail switches it on for others, DBKIT_WAL=off off.`;

/** `dbkit wal`: the archive of WAL in the repository. */
export function registerWal(program: Command, cli: Cli): void {
  const wal = program.command('wal').description('the WAL archive: every second since the oldest backup');
  wal
    .command('status')
    .description('show the end of the archive, its lag, gaps and size, and what keeps what')
    .addHelpText('after', KEPT)
    .addHelpText('after', '\nExamples:\n  dbkit wal status\n  dbkit wal status --json')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).wal.status(signal);
        return { report, text: (style) => statusView(report, style) };
      }),
    );
  wal
    .command('verify')
    .description('read every byte: hashes, the checksum and the order of every record, holes, histories')
    .option('--from <moment>', 'only from this moment on: a time (the server’s zone unless it says one) or an LSN')
    .option('--to <moment>', 'only up to this moment')
    .addHelpText(
      'after',
      '\nAnswers 65 where something is wrong, or where a part between the two moments is missing.\n\nExamples:\n  dbkit wal verify\n  dbkit wal verify --from "2026-11-20 19:00:00+00" --to "2026-11-20 20:00:00+00"',
    )
    .action((flags: { readonly from?: string; readonly to?: string }, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.wal.verify(await rangeOf(app, flags, signal), signal);
        const exit = report.problems.length > 0 ? failures['wal.damaged'].exit : 0;
        return { report, text: (style) => verifyView(report, style), exit };
      }),
    );
  wal
    .command('expire')
    .description('remove WAL that no base backup needs; each good backup does it too')
    .option('-n, --dry-run', 'only say what would be removed, and why')
    .addHelpText('after', '\nExample:\n  dbkit wal expire --dry-run')
    .action((flags: { readonly dryRun?: boolean }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).wal.expire({ dryRun: flags.dryRun ?? false }, signal);
        return { report, text: (style) => expireView(report, style) };
      }),
    );
  registerWalReceive(wal, cli);
  registerWalCopy(wal, cli);
  registerWalFetch(wal, cli);
}

/** Undefined where neither is given: all of it. Rejects with `recovery.refused`, and the nearest moments, for one that no WAL leads to. */
async function rangeOf(
  app: App,
  { from, to }: { readonly from?: string; readonly to?: string },
  signal: AbortSignal,
): Promise<WalRange | undefined> {
  if (from === undefined && to === undefined) return undefined;
  const [begin, end] = [await placeOf(app, from, signal), await placeOf(app, to, signal)];
  if (begin !== undefined && end !== undefined && begin.lsn > end.lsn)
    throw new DbkitError('usage.invalid', `--from ${from} is after --to ${to}`, { hint: 'give the earlier moment first' });
  return { timeline: (end ?? begin)!.timeline, from: begin?.lsn, to: end?.lsn };
}

async function placeOf(
  app: App,
  text: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly lsn: Lsn; readonly timeline: number } | undefined> {
  if (text === undefined) return undefined;
  const isLsn = /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i.test(text);
  const point = (await app.restore.point(isLsn ? { toLsn: text } : { to: text }, signal))!;
  const { plan } = await app.restore.pointBackup({ point, label: 'latest' }, signal);
  return { lsn: parseLsn(isLsn ? point.value : (plan.stopBefore ?? plan.needsUpTo)), timeline: plan.timeline };
}

const states: Record<NonNullable<WalStatus['state']>, string> = {
  keeping: 'kept as it is written',
  waiting: 'waiting: a standby’s WAL is kept once it is promoted',
  failing: 'NOT KEPT',
  stopped: 'stopped, with the server',
};

export function statusView(report: WalStatus, style: Style): string {
  const { state, problem, end, lag, gaps, storedBytes } = report;
  const isBad = state === 'failing';
  const behind =
    lag === null ? 'not known: the server does not answer' : lag.bytes === 0 ? 'nothing' : `${bytes(lag.bytes)}, ${roughly(lag.seconds)}`;
  const facts = [
    ['archive', report.dir],
    ['WAL is', state === null ? 'not kept by a supervisor' : isBad ? style.bad(states[state]) : style.good(states[state])],
    ...(problem ? [['because', problem.message], ...(problem.hint ? [['try', problem.hint]] : [])] : []),
    ['stands at', end === null ? 'nothing was kept yet' : `LSN ${end.lsn} on timeline ${end.timeline}, written ${moment(end.at)}`],
    ['behind', behind],
    ['held back by a slot', report.guarded ? 'yes' : 'no'],
    ...(report.synchronous ? [['commits', isBad ? style.bad('wait until it can be written') : 'wait for it']] : []),
    ['takes', bytes(storedBytes)],
    ...copyRows(report.copies, style),
  ];
  const lines = report.timelines.map((line) => [
    String(line.timeline),
    line.fromLsn,
    line.toLsn,
    String(line.segments),
    bytes(line.storedBytes),
    [
      ...line.holes.map(({ fromLsn, toLsn }) => `nothing from ${fromLsn} to ${toLsn}`),
      ...line.disputed.map((name) => `two files hold ${name}`),
    ].join('; ') || 'whole',
  ]);
  const told = gaps.map(
    ({ timeline, fromLsn, toLsn, at }) => `gap on timeline ${timeline} from ${fromLsn} to ${toLsn}, since ${moment(at)}`,
  );
  const kept = report.keptFor.map(({ because, segments, storedBytes: size }) => [counted(segments, 'segment'), bytes(size), because]);
  return [
    table(facts),
    ...(lines.length > 0 ? [table(lines, ['TIMELINE', 'FROM', 'TO', 'SEGMENTS', 'TAKES', 'IS'])] : []),
    ...(told.length > 0 ? [told.map((line) => style.warn(line)).join('\n')] : []),
    ...(kept.length > 0 ? [table(kept)] : []),
    ...unreadWords(report, style),
  ].join('\n\n');
}

/** Nobody knows which WAL such a backup needs, so the archive grows until a person has looked. */
const unreadWords = ({ dir, unreadBackups }: Pick<WalStatus, 'dir' | 'unreadBackups'>, style: Style): string[] =>
  unreadBackups.length === 0
    ? []
    : [
        style.warn(
          `no WAL expires: the record of ${unreadBackups.join(', ')} cannot be read; look at ${join(dirname(dirname(dir)), `${unreadBackups[0]}.json`)} (\`ls -l\`, \`dmesg\`)`,
        ),
      ];

function verifyView({ dir, segments, plainBytes, problems }: WalVerification, style: Style): string {
  const read = `${counted(segments, 'segment')} (${bytes(plainBytes)} of WAL) in ${dir}`;
  if (problems.length === 0) return `${style.good('sound')}: ${read}`;
  const rows = problems.map(({ id, timeline, evidence }) => [style.bad(walProblems[id]), `timeline ${timeline}`, evidence]);
  return `${table(rows)}\n\n${read}; a base backup makes what comes after it independent of this: \`dbkit backup create\``;
}

export function expireView(report: WalExpiry, style: Style): string {
  const { decisions, dryRun } = report;
  const going = decisions.filter(({ keep }) => !keep);
  const unread = unreadWords(report, style);
  if (unread.length > 0) return [`${counted(decisions.length, 'segment')}: nothing was removed`, ...unread].join('\n\n');
  if (going.length === 0) return `${counted(decisions.length, 'segment')}: every one of them is needed`;
  const size = bytes(going.reduce((sum, { storedBytes }) => sum + storedBytes, 0));
  const verb = dryRun ? 'would be removed' : 'removed';
  return `${counted(going.length, 'segment')} ${verb} (${size}), ${going[0]!.name} to ${going.at(-1)!.name}: ${style.dim(going[0]!.because)}`;
}

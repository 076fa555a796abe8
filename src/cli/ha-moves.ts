import { type Command, InvalidArgumentError, Option } from 'commander';
import type { FailoverReport } from '../cluster/failover.ts';
import type { PauseReport } from '../cluster/pause.ts';
import type { PlannedSwitchover } from '../cluster/planned-switchover.ts';
import type { LeaderProof } from '../cluster/proof.ts';
import type { ReinitPlan, RejoinReport } from '../cluster/rejoin.ts';
import type { SwitchoverReport } from '../cluster/switchover.ts';
import { bytes, durationMs, moment } from '../kernel/units.ts';
import { parseInstant } from '../restore/instant.ts';
import type { Call, Cli } from './cli.ts';
import { banner } from './ha-views.ts';
import { confirm } from './output/prompt.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { durationArgument, secondsFlag } from './up.ts';

/** The verbs of `dbkit ha` that change something: each says success only when the servers prove it. */
export function registerMoves(ha: Command, cli: Cli): void {
  ha.command('switchover')
    .argument('[to]', 'the member that shall lead; none: the nearest one that may')
    .description('hand the lead over, as planned; nothing is lost')
    .option('--no-pause', 'do not let the clients of PgBouncer wait meanwhile')
    .addOption(
      new Option('--at <time>', 'Patroni does it then, by itself: a time (UTC unless it says a zone)')
        .argParser(timeArgument)
        .conflicts('cancel'),
    )
    .option('--cancel', 'do not do what --at has planned')
    .addHelpText(
      'after',
      '\nSuccess means: the new leader takes writes on a new timeline, holds the lock, acknowledges a commit, the write address leads to it,\nand every other member streams from it. With --at: the plan stands in the cluster; PgBouncer does not hold its clients then.\n\nExamples:\n  dbkit ha switchover\n  dbkit ha switchover n2\n  dbkit ha switchover n2 --at "2026-12-01 03:00"\n  dbkit ha switchover --cancel',
    )
    .action((to: string | undefined, { pause, at, cancel = false }: SwitchoverFlags, command: Command) =>
      cli.run<SwitchoverReport | PlannedSwitchover>(command, async ({ app, signal }) => {
        const { cluster } = await app();
        if (at !== undefined || cancel) {
          const report = await (at === undefined ? cluster.cancelSwitchover(signal) : cluster.planSwitchover({ to, at }, signal));
          return { report, text: (style) => plannedView(report, style) };
        }
        const report = await cluster.switchover({ to, pause }, signal);
        return { report, text: (style) => switchoverView(report, style) };
      }),
    );
  ha.command('failover')
    .argument('[to]', 'the member that shall lead; none: a synchronous one, else the one with the most WAL')
    .description('have a member promoted because the leader is lost')
    .option('--accept-loss', 'promote it although rows may be missing there')
    .option('--force', 'also while the leader is well')
    .addHelpText('after', '\nExamples:\n  dbkit ha why-not\n  dbkit ha failover\n  dbkit ha failover n3 --accept-loss')
    .action((to: string | undefined, { acceptLoss = false, force = false }: FailoverFlags, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).cluster.failover({ to, acceptLoss, force }, signal);
        return { report, text: (style) => failoverView(report, style) };
      }),
    );
  registerMembers(ha, cli);
  registerPause(ha, cli);
}

interface SwitchoverFlags {
  readonly pause: boolean;
  readonly at?: Date;
  readonly cancel?: boolean;
}

const timeArgument = (text: string): Date => {
  try {
    return new Date(Number(parseInstant(text, 'UTC') / 1000n));
  } catch {
    throw new InvalidArgumentError("expected a time like '2026-01-13 03:00', or '2026-01-13 03:00:00+02'.");
  }
};

interface FailoverFlags {
  readonly acceptLoss?: boolean;
  readonly force?: boolean;
}

function registerMembers(ha: Command, cli: Cli): void {
  ha.command('rejoin')
    .argument('<member>')
    .description('wait until a member follows the leader again, and say so')
    .option('--timeout <seconds>', 'how long to wait', secondsFlag, 120)
    .addHelpText('after', '\nExample:\n  dbkit ha rejoin n1')
    .action((member: string, { timeout }: { timeout: number }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).cluster.rejoin({ member, timeoutMs: timeout * 1000 }, signal);
        return { report, text: (style) => rejoinView(report, style) };
      }),
    );
  ha.command('reinit')
    .argument('<member>')
    .description('remove a member’s data, and copy it again from another member')
    .option('--accept-loss', 'also where it has, or may have, rows that the leader never had')
    .addHelpText('after', '\nExample:\n  dbkit ha reinit n1')
    .action((member: string, { acceptLoss = false }: FailoverFlags, command: Command) =>
      cli.run(command, async (call) => {
        const wish = { member, acceptLoss };
        const report = await (await call.app()).cluster.reinit(wish, (plan) => confirmReinit(plan, call), call.signal);
        return { report, text: (style) => rejoinView(report, style) };
      }),
    );
}

const PAUSED = `
While it is off a leader that crashes stays down, and every report says so. Patroni knows no end of a pause. With --for a \`dbkit monitor\`, or the
next \`dbkit ha status\` or \`check\`, turns it on when the time is over; while none of them runs, nobody does.`;

function registerPause(ha: Command, cli: Cli): void {
  ha.command('pause')
    .description('turn automatic failover off, for work on the machines')
    .addOption(new Option('--for <duration>', 'for how long; none: until `dbkit ha resume`').argParser(durationArgument))
    .addHelpText('after', PAUSED)
    .addHelpText('after', '\nExamples:\n  dbkit ha pause\n  dbkit ha pause --for 2h')
    .action((flags: { readonly for?: string }, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const forMs = flags.for === undefined ? null : durationMs(flags.for);
        const report = await (await app()).cluster.setPaused({ paused: true, forMs }, signal);
        return { report, text: (style) => pauseView(report, style) };
      }),
    );
  ha.command('resume')
    .description('turn automatic failover on again')
    .addHelpText('after', '\nExample:\n  dbkit ha resume')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app, signal }) => {
        const report = await (await app()).cluster.setPaused({ paused: false }, signal);
        return { report, text: (style) => pauseView(report, style) };
      }),
    );
}

function confirmReinit({ member, ownBytes }: ReinitPlan, { flags, surroundings: { terminal, environment } }: Call): Promise<boolean> {
  const known = ownBytes === null ? 'nobody knows whether it has rows that the leader lacks' : 'the leader has all that it has';
  const mayAsk = terminal.stdin && terminal.stderr && !environment['CI'];
  return confirm(`Remove the data of ${member} and copy it again (${known})?`, { mayAsk, yes: flags.yes ?? false });
}

const seconds = (value: number): string => `${value.toFixed(1)} s`;

const proofRows = ({ writableSeconds, lockSeconds, commitSeconds, routedSeconds }: LeaderProof): string[][] => [
  ['takes writes', `after ${seconds(writableSeconds)}`],
  ['holds the lock', `after ${seconds(lockSeconds)}`],
  ['acknowledged a commit', `after ${seconds(commitSeconds)}`],
  ['write address', routedSeconds === null ? 'not asked: ha.writeAddress is not set' : `leads to it after ${seconds(routedSeconds)}`],
];

function switchoverView({ from, to, pausedSeconds, proof, redundantSeconds, paused }: SwitchoverReport, style: Style): string {
  const rows = [
    ...proofRows(proof),
    ['clients waited', pausedSeconds === null ? 'no: PgBouncer was not asked to hold them' : seconds(pausedSeconds)],
    ['all others stream', `after ${seconds(redundantSeconds)}`],
  ];
  return `${banner(paused, style)}${style.good(`${to} leads`)}, on timeline ${proof.timeline}; ${from} follows\n\n${table(rows)}`;
}

const plannedView = ({ at, from, to }: PlannedSwitchover, style: Style): string =>
  at === null
    ? style.good('no switchover is planned')
    : `${style.good(`${from} hands over to ${to ?? 'whoever is nearest'} at ${moment(at)}`)}; \`dbkit ha switchover --cancel\` cancels it`;

function failoverView({ to, lostBytes, proof, paused }: FailoverReport, style: Style): string {
  const lost = lostBytes === null ? 'not known' : lostBytes === 0 ? 'nothing that is known of' : style.bad(`${bytes(lostBytes)} of WAL`);
  return `${banner(paused, style)}${style.good(`${to} leads`)}, on timeline ${proof.timeline}\n\n${table([...proofRows(proof), ['lost', lost]])}`;
}

const rejoinView = ({ member, seconds: took, rebuilt, paused }: RejoinReport, style: Style): string =>
  `${banner(paused, style)}${style.good(`${member} streams from the leader`)}${rebuilt ? `, copied again in ${seconds(took)}` : ''}`;

function pauseView({ paused, until, seenBy }: PauseReport, style: Style): string {
  if (!paused) return `${style.good('automatic failover is on')}, as ${seenBy.join(', ')} say`;
  const off = `${style.bad(`automatic failover is OFF${until === null ? '' : ` until ${moment(until)}`}`)}, as ${seenBy.join(', ')} say`;
  return until === null
    ? `${off}; \`dbkit ha resume\` turns it on`
    : `${off}\nthen a \`dbkit monitor\` turns it on, or the next \`dbkit ha status\`; \`dbkit ha resume\` does it sooner`;
}

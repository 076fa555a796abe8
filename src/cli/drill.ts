import type { Command } from 'commander';
import type { DrillCheck } from '../backups/drill.ts';
import type { DrillTurn } from '../cluster/drill-turn.ts';
import type { DrillKind } from '../config/schedules.ts';
import { counted, duration, moment } from '../kernel/units.ts';
import type { GameDay } from '../restore/game-days/contract.ts';
import type { Cli } from './cli.ts';
import { judgedWords } from './incident.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

const kinds: Record<DrillKind, string> = {
  corruption: 'a page of a table is overwritten in a copy: is it found, and does everything come back?',
  'table-loss': 'a table is dropped in a copy, and comes back there',
  'total-loss': 'the data and its machine are gone: everything comes back from the repository alone',
  'remote-region': 'the repository is gone too: everything comes back from a copy elsewhere alone',
};

interface DrillFlags {
  readonly copy?: string;
  readonly lowPriority?: boolean;
  readonly ifCarrier?: boolean;
}

/** Another member of the cluster rehearses it, or nobody does now. */
interface NotHere {
  readonly kind: DrillKind;
  readonly rehearsed: false;
  readonly turn: DrillTurn;
}

/** `dbkit drill`: disasters rehearsed on copies. */
export function registerDrill(program: Command, cli: Cli): void {
  const drill = program
    .command('drill')
    .description('rehearse a disaster on a copy, measure it, and judge it by the tier')
    .addHelpText(
      'after',
      '\nThe instance is not touched. 1 when a check fails or a target of the tier is missed. `drill.schedule` in dbkit.yaml lets the supervisor do it.\n\nExamples:\n  dbkit drill total-loss\n  dbkit drill history',
    );
  for (const [kind, description] of Object.entries(kinds) as [DrillKind, string][]) {
    const command = drill.command(kind).description(description);
    if (kind === 'remote-region') command.option('--copy <name>', 'which copy elsewhere (default: the first one of dbkit.yaml)');
    command
      .option('--low-priority', 'use the lowest priority for processor and disk')
      .option('--if-carrier', 'in a cluster: only on the member that takes the backups; for timers, which every member has')
      .addHelpText('after', `\nExample:\n  dbkit drill ${kind}`)
      .action(({ copy, lowPriority = false, ifCarrier = false }: DrillFlags, own: Command) =>
        cli.run<GameDay | NotHere>(own, async ({ app: open, signal }) => {
          const app = await open();
          const turn = ifCarrier ? await app.cluster.drillTurn(signal) : undefined;
          if (turn?.isHere === false) return { report: { kind, rehearsed: false, turn }, text: () => `no drill here: ${turn.because}` };
          const report = await app.restore.gameDays.rehearse(kind, { copy, lowPriority }, signal);
          return { report, text: (style) => gameDayView(report, style), exit: report.ok ? 0 : 1 };
        }),
      );
  }
  drill
    .command('history')
    .description('list what was rehearsed, newest first')
    .addHelpText('after', '\nExample:\n  dbkit drill history --json')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app }) => {
        const drills = await (await app()).restore.gameDays.history();
        return { report: { drills }, text: (style) => historyView(drills, style) };
      }),
    );
}

const failedIn = ({ checks }: Pick<GameDay, 'checks'>): DrillCheck | undefined => checks.find(({ outcome }) => outcome === 'failed');

export function gameDayView(day: GameDay, style: Style): string {
  const looks = { passed: style.good, failed: style.bad, skipped: style.dim };
  const rows = day.checks.map(({ name, outcome, because, durationMs }) => [
    looks[outcome](outcome),
    name,
    because ?? `${(durationMs / 1000).toFixed(1)} s`,
  ]);
  const failed = failedIn(day);
  const verdict = day.ok ? style.good('passed') : style.bad(failed ? 'failed' : 'a target was missed');
  const lost =
    day.lostTransactions === null
      ? 'not known'
      : day.lostTransactions === 0
        ? 'nothing'
        : `at most ${counted(day.lostTransactions, 'transaction')}`;
  return [
    `${style.strong(day.kind)}: ${verdict}; from ${day.label} in ${day.source}, ${counted(day.rows.rows, 'row')} in ${counted(day.rows.tables, 'table')}`,
    table(rows),
    `RTO ${judgedWords(day.rto)}\nRPO ${judgedWords(day.rpo)}; lost: ${lost}`,
  ].join('\n\n');
}

function historyView(days: readonly GameDay[], style: Style): string {
  if (days.length === 0) return 'nothing was rehearsed here yet: `dbkit drill total-loss`';
  const rows = days.map((day) => [
    moment(day.at),
    day.kind,
    day.ok ? style.good('passed') : style.bad(failedIn(day)?.name ?? 'target missed'),
    day.rto.seconds === null ? '' : duration(day.rto.seconds),
    day.rpo.seconds === null ? 'not known' : duration(day.rpo.seconds),
    day.tier ?? '',
  ]);
  return table(rows, ['WHEN', 'WHAT', 'RESULT', 'RTO', 'RPO', 'TIER']);
}

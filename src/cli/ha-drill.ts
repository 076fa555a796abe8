import { type Command, InvalidArgumentError } from 'commander';
import { drills } from '../cluster/drill/drills.ts';
import type { Trial, TrialsReport } from '../cluster/drill/evidence.ts';
import type { DrillReport } from '../cluster/drill/run-drill.ts';
import { counted, DURATION, durationMs, moment } from '../kernel/units.ts';
import type { Cli } from './cli.ts';
import { between } from './ha-local.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

interface DrillFlags {
  readonly trials: number;
  readonly members: number;
  readonly firstPort: number;
  readonly guard: boolean;
}

/** Rehearsals of disasters, and their evidence. */
export function registerDrills(ha: Command, cli: Cli): void {
  const listed = table(drills.map(({ id, words }) => [`  ${id}`, words]));
  ha.command('drill')
    .argument('<name>', 'the disaster; see below')
    .description('rehearse a disaster on a cluster of its own on this machine, and measure it')
    .option('--trials <count>', 'how often', between(1, 100), 1)
    .option('--members <count>', 'how many servers', between(2, 9), 3)
    .option('--first-port <port>', 'its ports are this one and the 30 after it, on the loopback', between(1024, 65_000), 15_600)
    .option('--no-guard', 'run Patroni without dbkit, to compare with: no guard, no PAUSE of PgBouncer')
    .addHelpText(
      'after',
      `\nClients write one row after another through the write address and through PgBouncer, and note what was acknowledged. Measured are the longest\ntime without an acknowledged commit (RTO), acknowledged rows that are gone, how long two servers took writes, and the time until every member is\nback. Each trial is kept below ha-trials of the state folder. Answers 1 where a target was missed.\n\nDrills:\n${listed}\n\nExamples:\n  dbkit ha drill leader-node --trials 3\n  dbkit ha report --since 30d`,
    )
    .action((name: string, { trials, members, firstPort, guard }: DrillFlags, command: Command) =>
      cli.run(command, async ({ app, signal, surroundings: { program } }) => {
        const wish = { name, trials, members, port: firstPort, program, ...(guard ? {} : { unguarded: true as const }) };
        const report = await (await app()).cluster.drill(wish, signal);
        return { report, text: (style) => drillView(report, style), exit: report.passed ? 0 : 1 };
      }),
    );
  ha.command('report')
    .description('list the trials of drills, newest first')
    .option('--since <age>', 'only those of the last 30d, 12h, 8w', age)
    .addHelpText('after', '\nExample:\n  dbkit ha report --since 30d')
    .action(({ since }: { readonly since?: number }, command: Command) =>
      cli.run(command, async ({ app }) => {
        const { cluster, clock } = await app();
        const report = await cluster.trials({ since: since === undefined ? undefined : new Date(clock.now().getTime() - since) });
        return { report, text: (style) => trialsView(report, style) };
      }),
    );
}

function age(text: string): number {
  if (DURATION.test(text)) return durationMs(text);
  throw new InvalidArgumentError('expected a duration such as 12h, 30d or 8w.');
}

const HEADING = ['WHEN', 'DRILL', 'RESULT', 'RTO', 'LOST', 'ERRORS', 'TWO WRITABLE', 'WHOLE AFTER', 'TTL', 'LEADER'];
const seconds = (value: number): string => `${value.toFixed(1)} s`;

function rowOf(trial: Trial, style: Style): string[] {
  const rto = Object.entries(trial.rtoSeconds).map(([name, value]) => `${name} ${seconds(value)}`);
  return [
    moment(trial.at),
    trial.guarded ? trial.drill : `${trial.drill}, Patroni alone`,
    trial.passed ? style.good('passed') : style.bad('FAILED'),
    rto.join(', '),
    `${trial.lostRows} of ${trial.ackedRows}`,
    String(trial.errors),
    seconds(trial.twoWritableSeconds),
    trial.redundantSeconds === null ? style.bad('never') : seconds(trial.redundantSeconds),
    `${trial.ttlSeconds} s`,
    trial.leaderBefore === trial.leaderAfter ? trial.leaderBefore : `${trial.leaderBefore} → ${trial.leaderAfter ?? 'none'}`,
  ];
}

const rowsOf = (trials: readonly Trial[], style: Style): string =>
  table(
    trials.map((trial) => rowOf(trial, style)),
    HEADING.map(style.dim),
  );

const missesIn = (trials: readonly Trial[], style: Style): string[] =>
  trials.flatMap(({ drill, misses }) => misses.map(({ id, words }) => `${style.bad(drill)}: ${words} ${style.dim(`(${id})`)}`));

function drillView({ drill, trials, passed, folder }: DrillReport, style: Style): string {
  const result = passed ? style.good(`${drill} passed`) : style.bad(`${drill} FAILED`);
  const left = folder === null ? [] : [`the cluster is stopped, and its logs are in ${folder}`];
  return [`${result}, ${counted(trials.length, 'trial')}`, rowsOf(trials, style), ...missesIn(trials, style), ...left].join('\n\n');
}

function trialsView({ trials, passed, failed }: TrialsReport, style: Style): string {
  if (trials.length === 0) return 'no drill was kept: `dbkit ha drill leader-node` rehearses one';
  return [`${passed} passed, ${failed} failed`, rowsOf(trials, style), ...missesIn(trials, style)].join('\n\n');
}

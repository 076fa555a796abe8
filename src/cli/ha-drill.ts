import { type Command, InvalidArgumentError, Option } from 'commander';
import { drills } from '../cluster/drill/drills.ts';
import type { Trial, TrialsReport } from '../cluster/drill/evidence.ts';
import type { DrillReport } from '../cluster/drill/run-drill.ts';
import type { HerePlan } from '../cluster/drill/run-here.ts';
import { DbkitError } from '../kernel/errors.ts';
import { counted, DURATION, durationMs, moment } from '../kernel/units.ts';
import type { Call, Cli } from './cli.ts';
import { between } from './ha-local.ts';
import { confirm } from './output/prompt.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

interface DrillFlags {
  readonly trials: number;
  readonly members: number;
  readonly firstPort: number;
  readonly guard: boolean;
  readonly here?: boolean;
  readonly acceptLoss?: boolean;
}

const HERE = `With --here the disaster is a real one: the lead moves or is lost for a moment, and your clients see it. Only what dbkit can undo is done there:
switchover-under-load from anywhere, postmaster, patroni-killed, patroni-hung and freeze on the leader's own machine. It is refused while anything
is wrong, while the cluster is paused, and without a synchronous standby (--accept-loss). Rows are written into a schema of the drill's own
(dbkit_drill in the database postgres), which is removed. The lead is not moved back.`;

/** Rehearsals of disasters, and their evidence. */
export function registerDrills(ha: Command, cli: Cli): void {
  const listed = table(drills.map(({ id, words }) => [`  ${id}`, words]));
  ha.command('drill')
    .argument('<name>', 'the disaster; see below')
    .description('rehearse a disaster, and measure it: on a cluster of its own on this machine, or with --here on the real one')
    .option('--trials <count>', 'how often', between(1, 100), 1)
    .option('--members <count>', 'how many servers', between(2, 9), 3)
    .option('--first-port <port>', 'its ports are this one and the 30 after it, on the loopback', between(1024, 65_000), 15_600)
    .option('--no-guard', 'run Patroni without dbkit, to compare with: no guard, no PAUSE of PgBouncer')
    .addOption(
      new Option('--here', 'on the real cluster (ha.members, or the one of `ha up --local`), once, after a question').conflicts([
        'trials',
        'members',
        'firstPort',
        'guard',
      ]),
    )
    .option('--accept-loss', 'with --here: also where no standby is synchronous')
    .addHelpText(
      'after',
      `\nClients write one row after another through the write address and through PgBouncer, and note what was acknowledged. Measured are the longest\ntime without an acknowledged commit (RTO), acknowledged rows that are gone, how long two servers took writes, and the time until every member is\nback. Each trial is kept below ha-trials of the state folder. Answers 1 where a target was missed.\n\n${HERE}\n\nDrills:\n${listed}\n\nExamples:\n  dbkit ha drill leader-node --trials 3\n  dbkit ha drill switchover-under-load --here\n  dbkit ha report --since 30d`,
    )
    .action((name: string, { trials, members, firstPort, guard, here = false, acceptLoss = false }: DrillFlags, command: Command) =>
      cli.run(command, async (call) => {
        const { app, signal } = call;
        if (here) {
          const report = await (await app()).cluster.drillHere({ name, acceptLoss }, (plan) => confirmHere(plan, call), signal);
          return { report, text: (style) => drillView(report, style), exit: report.passed ? 0 : 1 };
        }
        if (acceptLoss)
          throw new DbkitError('usage.invalid', '--accept-loss is for --here: nothing can be lost on a cluster of its own', {
            hint: 'leave it out, or add --here',
          });
        const { program } = call.surroundings;
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

function confirmHere({ scope, leader, words }: HerePlan, { flags, surroundings: { terminal, environment } }: Call): Promise<boolean> {
  const mayAsk = terminal.stdin && terminal.stderr && !environment['CI'];
  const refusal = {
    message: 'this harms the real cluster, and there is no terminal to ask at',
    hint: 'add --yes to do it without a question, or leave --here out: a cluster of its own is made for it',
  };
  return confirm(`On the real cluster ${scope ?? 'of ha.members'}, which ${leader} leads: ${words}. Do it now?`, {
    mayAsk,
    yes: flags.yes ?? false,
    refusal,
  });
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
    trial.here ? `${trial.drill}, here` : trial.guarded ? trial.drill : `${trial.drill}, Patroni alone`,
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
  const moved = trials.filter(({ here, leaderBefore, leaderAfter }) => here && leaderAfter !== leaderBefore);
  const back = moved.map(
    ({ leaderBefore, leaderAfter }) => `${leaderAfter ?? 'nobody'} leads now; \`dbkit ha switchover ${leaderBefore}\` moves it back`,
  );
  return [`${result}, ${counted(trials.length, 'trial')}`, rowsOf(trials, style), ...missesIn(trials, style), ...left, ...back].join(
    '\n\n',
  );
}

function trialsView({ trials, passed, failed }: TrialsReport, style: Style): string {
  if (trials.length === 0) return 'no drill was kept: `dbkit ha drill leader-node` rehearses one';
  return [`${passed} passed, ${failed} failed`, rowsOf(trials, style), ...missesIn(trials, style)].join('\n\n');
}

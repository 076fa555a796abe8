import { type Command, InvalidArgumentError, Option } from 'commander';
import { DbkitError, failures } from '../kernel/errors.ts';
import { type ListenAddress, listenAddress } from '../kernel/listen-address.ts';
import { duration, durationMs, moment } from '../kernel/units.ts';
import type { MonitorCheck } from '../monitor/check.ts';
import { type Comeback, comebackOf } from '../monitor/comeback.ts';
import type { MonitorReport } from '../monitor/pause.ts';
import type { Answer, Call, Cli } from './cli.ts';
import { healthView } from './health.ts';
import { drawn } from './output/printable.ts';
import type { Style } from './output/style.ts';
import { again } from './relaunch.ts';
import { durationArgument, secondsFlag } from './up.ts';

interface MonitorFlags {
  readonly once?: boolean;
  readonly recover: boolean;
  readonly interval?: number;
  readonly listen?: ListenAddress;
}

const WHAT = `
Every check asks what \`dbkit health\` asks. A server that is down, hung or damaged for monitor.maxFailures checks in a row is recovered, as
\`dbkit recover\` would; a slow night, a full disk or a long crash recovery is only told. After monitor.maxRecoveries a person must look.`;

function addressArgument(text: string): ListenAddress {
  const address = listenAddress(text);
  if (address) return address;
  throw new InvalidArgumentError("expected PORT, HOST:PORT, or '*:PORT' for every address.");
}

/** Until Ctrl-C where it watches; one monitor for each state directory. */
export function registerMonitor(program: Command, cli: Cli): void {
  const command = program
    .command('monitor')
    .description('watch the server, recover it when it fails, send alerts')
    .option('--once', 'one check, for timers; 2 when the server is not well afterwards')
    .option('--no-recover', 'with --once: leave a recovery that is due to another process, and end with 69')
    .option('--interval <seconds>', 'between two checks (default: monitor.intervalSeconds)', secondsFlag)
    .addOption(
      new Option(
        '--listen <[host:]port>',
        'show what it sees over HTTP: a page, /metrics, /api/status, /livez, /readyz, /healthz; without a host on loopback',
      ).argParser(addressArgument),
    )
    .addHelpText('after', WHAT)
    .addHelpText(
      'after',
      '\nExamples:\n  dbkit monitor\n  dbkit monitor --once\n  dbkit monitor --listen 9879\n  dbkit monitor pause --for 2h',
    )
    .action((flags: MonitorFlags, self: Command) => cli.run<MonitorCheck | MonitorReport>(self, (call) => watch(flags, call)));
  registerPause(command, cli);
}

/** Watches until a signal comes, or checks once. */
async function watch(
  flags: MonitorFlags,
  { app: open, flags: global, surroundings, signal, style }: Call,
): Promise<Answer<MonitorCheck | MonitorReport>> {
  const app = await open();
  const start = again(surroundings, global, ['up', '--detach', '--quiet']);
  if (flags.once) {
    const report = await app.monitor.once({ start, recovers: flags.recover }, signal);
    const isWell = report.recovery?.ok ?? (report.verdict === 'well' || report.verdict === 'waiting');
    return {
      report,
      text: (look) => checkView(report, look, app.clock.now()),
      exit: report.action === 'leave' ? failures['service.failed'].exit : isWell ? 0 : 2,
    };
  }
  if (!flags.recover)
    throw new DbkitError('usage.invalid', '--no-recover goes with --once', {
      hint: '`dbkit monitor pause` lets a monitor watch without recovering',
    });
  const intervalMs = (flags.interval ?? app.config.monitor.intervalSeconds) * 1000;
  const draw = surroundings.terminal.stdout && !global.json && !global.quiet;
  const pages = await app.monitor.openPages({ listen: flags.listen, intervalMs, version: surroundings.version });
  const onCheck = (check: MonitorCheck): void => {
    pages?.onCheck(check);
    if (draw)
      surroundings.terminal.writeOut(
        `\u001b[H\u001b[2J${drawn(style, (look) => checkView(check, look, app.clock.now()))}\n\n${style.dim(`the next check comes in ${duration(intervalMs / 1000)}; Ctrl-C ends this`)}\n`,
      );
  };
  if (!draw) app.log.info('monitor.begun', `watching every ${duration(intervalMs / 1000)}`);
  try {
    await app.monitor.watch({ start, intervalMs, onCheck, onRecovery: (isUnderWay) => pages?.onRecovery(isUnderWay) }, signal);
  } finally {
    await pages?.close();
  }
  return { report: await app.monitor.report(), text: () => '' };
}

/** A planned stop, its end, and the state. */
function registerPause(command: Command, cli: Cli): void {
  command
    .command('pause')
    .description('pause recovery during a planned stop')
    .addOption(new Option('--for <duration>', 'how long to pause').argParser(durationArgument).default('30m'))
    .addHelpText('after', '\nExample:\n  dbkit monitor pause --for 2h')
    .action((flags: { for: string }, self: Command) =>
      cli.run(self, async ({ app }) => {
        const report = await (await app()).monitor.pause(durationMs(flags.for), 'person');
        return {
          report,
          text: () => `nothing is recovered until ${moment(report.state.pausedUntil!)}; \`dbkit monitor resume\` ends that`,
        };
      }),
    );
  command
    .command('resume')
    .description('resume, and retry what was given up')
    .addHelpText('after', '\nExample:\n  dbkit monitor resume')
    .action((_flags: object, self: Command) =>
      cli.run(self, async ({ app }) => ({ report: await (await app()).monitor.resume(), text: () => 'it watches again' })),
    );
  command
    .command('status')
    .description('show the last check of the monitor, and its events')
    .addHelpText('after', '\nExample:\n  dbkit monitor status')
    .action((_flags: object, self: Command) =>
      cli.run(self, async ({ app: open }) => {
        const app = await open();
        const report = await app.monitor.report();
        return { report, text: (style) => stateView(report, style, app.clock.now()) };
      }),
    );
}

function checkView({ health, at, state, events, because, verdict, recovery }: MonitorCheck, style: Style, now: Date): string {
  const words = verdict === 'well' ? [] : [`${style.warn(because)}`];
  const mended = recovery === null ? [] : [recovery.ok ? style.good(recovery.words) : style.bad(recovery.words)];
  return [
    healthView(health, style),
    ...words,
    ...mended,
    comebackView(comebackOf(health)),
    stateView({ state, events, checkedAt: at }, style, now),
  ].join('\n\n');
}

/** The copies stand among the probes; of the WAL that leads on from the backups, and of how long a restore takes, this one line. */
function comebackView({ wal, drill }: Comeback): string {
  const back =
    'unknown' in wal
      ? `moments between backups: not known (${wal.unknown})`
      : `base backups from ${moment(wal.fromAt)} on, and WAL behind them${wal.untilAt === null ? '' : ` until ${moment(wal.untilAt)}`}`;
  const rehearsed = drill && `the last rehearsed restore took ${duration(drill.seconds)}`;
  return [back, drill === null ? 'no restore was rehearsed yet' : rehearsed].filter(Boolean).join('; ');
}

const SHOWN = 8;

function stateView({ state, checkedAt, events }: MonitorReport, style: Style, now: Date): string {
  if (checkedAt === null) return 'no monitor has ever watched here; `dbkit monitor` does';
  const ago = (at: string): string => `${duration(Math.max(0, (now.getTime() - Date.parse(at)) / 1000))} ago`;
  const isPaused = state.pausedUntil !== null && Date.parse(state.pausedUntil) > now.getTime();
  const lines = [
    `checked ${ago(checkedAt)}; ${state.failures} failed in a row; ${state.recoveries} recoveries${state.lastRecoveryAt === null ? '' : `, the last ${ago(state.lastRecoveryAt)}`}`,
    ...(isPaused ? [style.warn(`paused until ${moment(state.pausedUntil!)}`)] : []),
    ...(state.gaveUp ? [style.bad('it gave up: a person must look; `dbkit monitor resume` lets it try again')] : []),
    ...events.slice(-SHOWN).map(({ at, what }) => style.dim(`${moment(at)}  ${what}`)),
  ];
  return lines.join('\n');
}

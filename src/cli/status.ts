import type { Command } from 'commander';
import type { ServiceState } from '../control/status.ts';
import { bytes, counted, duration, moment, roughly } from '../kernel/units.ts';
import type { StatusReport } from '../supervisor/report-status.ts';
import type { Cli } from './cli.ts';
import { judgedWords } from './incident.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { damageView } from './recovery-views.ts';
import { secondsFlag } from './up.ts';

export function registerStatus(program: Command, cli: Cli): void {
  program
    .command('status')
    .description('show what runs, since when, and what recovery did')
    .option('-w, --wait', 'wait until everything is ready')
    .option('--timeout <seconds>', 'how long --wait waits', secondsFlag, 60)
    .addHelpText(
      'after',
      '\nWith --wait: 0 as soon as everything is ready, 69 when it is held, has failed, or the time is over.\n\nExamples:\n  dbkit status\n  dbkit status --wait --timeout 120',
    )
    .action((flags: { wait?: boolean; timeout: number }, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = flags.wait ? await app.supervisor.waitReady(flags.timeout * 1000, signal) : await app.supervisor.status(signal);
        return { report, text: (style) => statusView(report, style, app.clock.now()) };
      }),
    );
}

/** `dbkit wait`: for scripts, which read better so. */
export function registerWait(program: Command, cli: Cli): void {
  program
    .command('wait')
    .description('wait until everything is ready: `status --wait`')
    .option('--timeout <seconds>', 'how long to wait', secondsFlag, 60)
    .addHelpText(
      'after',
      '\n0 as soon as everything is ready, 69 when it is held, has failed, or the time is over.\n\nExample:\n  dbkit wait && npm run migrate',
    )
    .action(({ timeout }: { timeout: number }, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.supervisor.waitReady(timeout * 1000, signal);
        return { report, text: (style) => statusView(report, style, app.clock.now()) };
      }),
    );
}

const archiveWords = {
  keeping: 'kept as it is written',
  waiting: 'a standby: kept once it is promoted',
  failing: 'not kept',
  stopped: 'stopped, with the server',
} as const;

function archiveRow({ state, problem, gaps }: NonNullable<StatusReport['archive']>, style: Style): string[] {
  const look = state === 'failing' || gaps > 0 ? style.bad : state === 'keeping' ? style.good : style.dim;
  const notes = [problem ?? '', gaps > 0 ? `${counted(gaps, 'gap')} until the next base backup: \`dbkit backup create\`` : ''];
  return ['WAL archive', look(archiveWords[state]), notes.filter(Boolean).join('; ')];
}

function tierRow({ tier, rpo, rto }: NonNullable<StatusReport['tier']>, style: Style): string[] {
  const isMissed = rpo.met === false || rto.met === false;
  const rehearsed = rto.seconds === null ? `${judgedWords(rto)} (\`dbkit backup drill\` measures it)` : judgedWords(rto);
  return [
    `tier ${tier}`,
    isMissed ? style.bad('missed') : rpo.met && rto.met ? style.good('met') : style.dim('not known'),
    `RPO ${judgedWords(rpo)}; RTO ${rehearsed}`,
  ];
}

function scheduleRow({ job, expression, nextAt, ranAt, outcome }: StatusReport['schedule'][number], style: Style, now: Date): string[] {
  const last = ranAt === null ? '' : `last ${outcome === null ? 'run' : outcome} ${moment(ranAt)}`;
  const isBad = outcome === 'failed' || outcome === 'interrupted';
  const next =
    nextAt === null
      ? style.dim('not scheduled now')
      : isBad
        ? style.warn(`next in ${until(nextAt, now)}`)
        : `next in ${until(nextAt, now)}`;
  return [`scheduled ${job}`, next, [`'${expression}' UTC`, last].filter(Boolean).join(', ')];
}

const until = (iso: string, now: Date): string => roughly(Math.max(0, (Date.parse(iso) - now.getTime()) / 1000));

const colours: Partial<Record<ServiceState, 'good' | 'bad' | 'warn' | 'dim'>> = {
  ready: 'good',
  held: 'bad',
  failed: 'bad',
  disabled: 'dim',
  stopped: 'dim',
  restarting: 'warn',
};

export function statusView(report: StatusReport, style: Style, now: Date): string {
  const { instance, supervisor } = report;
  const span = (iso: string): string => duration((now.getTime() - Date.parse(iso)) / 1000);
  const services = report.services.map(({ name, state, pid, restarts, since, failure }) => {
    const look = style[colours[state] ?? 'warn'];
    const notes = [
      pid ? `pid ${pid}` : '',
      `for ${span(since)}`,
      restarts > 0 ? `${restarts} restarts` : '',
      failure ? failure.message.split('\n')[0]! : '',
    ];
    return [name, look(state), notes.filter(Boolean).join(', ')];
  });
  const supervised = [
    'supervisor',
    supervisor.running ? style.good('running') : style.dim('not running'),
    supervisor.running
      ? `${supervisor.mode}, pid ${supervisor.pid}${supervisor.since ? `, for ${span(supervisor.since)}` : ''}`
      : '`dbkit up --detach` starts it',
  ];
  const rows: string[][] = [
    ...(instance.host === null ? [supervised] : []),
    ...services,
    [
      'server',
      instance.version ? style.good('answers') : style.bad('no answer'),
      [
        instance.version ? `PostgreSQL ${instance.version}` : '',
        instance.uptimeSeconds === null ? '' : `up ${duration(instance.uptimeSeconds)}`,
        instance.host === null ? '' : `host ${instance.host}`,
        `port ${instance.port}`,
        instance.standby ? 'standby' : '',
      ]
        .filter(Boolean)
        .join(', '),
    ],
    ['data', instance.sizeBytes === null ? '' : bytes(instance.sizeBytes), instance.host === null ? instance.dataDir : ''],
  ];
  if (instance.connections) rows.push(['connections', `${instance.connections.used} of ${instance.connections.max}`, '']);
  rows.push([
    'last backup',
    report.lastBackup ? report.lastBackup.state : 'none',
    report.lastBackup ? `${report.lastBackup.label}, ${span(report.lastBackup.createdAt)} ago` : '',
  ]);
  if (report.archive) rows.push(archiveRow(report.archive, style));
  if (report.tier) rows.push(tierRow(report.tier, style));
  rows.push(...report.schedule.map((line) => scheduleRow(line, style, now)));
  for (const { what, path, totalBytes, freeBytes } of report.disks)
    rows.push([`disk (${what})`, `${bytes(freeBytes)} free`, `of ${bytes(totalBytes)}, ${path}`]);
  const parts = [table(rows), ...damageView(report.damage, style)];
  const { lastRecovery } = report;
  if (lastRecovery) {
    const lines = [
      `last recovery, ${moment(lastRecovery.at)}: ${lastRecovery.decision}, because ${lastRecovery.because}`,
      `lost: ${lastRecovery.lost}`,
    ];
    if (lastRecovery.quarantine) lines.push(`old bytes: ${lastRecovery.quarantine}`);
    parts.push(lines.join('\n'));
  }
  const { lastLoss } = report;
  if (lastLoss) {
    const lines = [`earlier, ${moment(lastLoss.at)}: ${lastLoss.decision}, because ${lastLoss.because}`, `lost then: ${lastLoss.lost}`];
    if (lastLoss.quarantine) lines.push(`old bytes: ${lastLoss.quarantine}`);
    parts.push(lines.join('\n'));
  }
  const stuck = report.services.find(({ failure }) => failure?.hint);
  if (stuck) parts.push(`HINT: ${stuck.failure!.hint}`);
  return parts.join('\n\n');
}

import type { App } from '../core/app.ts';
import { DbkitError } from '../core/errors.ts';
import type { ProbeReport } from '../core/health.ts';
import type { RecoveryReport } from '../core/recovery.ts';
import { awaitHealth } from './check-health.ts';

type Needs = Pick<App, 'config' | 'services' | 'clock' | 'log' | 'control' | 'instance' | 'history' | 'spawn' | 'commandEnvironment'>;

export interface Mended {
  /** One sentence, without a full stop. */
  readonly did: string;
  readonly report: RecoveryReport;
}

const ANSWER_MS = 60_000;

/**
 * Brings a failed server back in the least destructive way there is: lets stopped processes go on, restarts a hung one, and else climbs the
 * ladder, through the supervisor where one runs. Resolves when the server answers; rejects with the reason.
 */
export async function mendServer(
  app: Needs,
  { start, probe }: { readonly start: readonly string[]; readonly probe: ProbeReport | null },
  signal: AbortSignal,
): Promise<Mended> {
  const { instance, control, history } = app;
  const begunMs = app.clock.monotonicMs();
  const woken = await instance.wake(signal);
  if (woken > 0)
    return answered(app, await noted(app, `${woken} of its processes had been stopped by a signal and go on now`, begunMs), signal);
  const isSupervised = (await control.ask({ command: 'ping' }, signal)) !== undefined;
  if (isSupervised && (probe?.data as { why?: unknown } | null)?.why === 'hung') {
    await control.ask({ command: 'restart', service: 'postgresql' }, signal);
    return answered(app, await noted(app, 'it was hung and was restarted', begunMs), signal);
  }
  const request = { dryRun: false, strategy: undefined, trigger: 'monitor' } as const;
  if (isSupervised) {
    const report = (await control.ask({ command: 'recover', request }, signal)) as RecoveryReport;
    return answered(app, { did: `${report.decision}: ${report.because}`, report }, signal);
  }
  const caretaker = await instance.caretaker();
  if (caretaker && probe !== null && mayStop(probe)) await caretaker.stop(signal);
  const report = { ...(await instance.recover(request, signal)), trigger: request.trigger };
  await history.record(report);
  await startAgain(app, caretaker?.start ?? start);
  return answered(app, { did: `${report.decision}: ${report.because}; it was started again`, report }, signal);
}

/** A server that runs is stopped only where it was seen to be hung or damaged: one that is merely not found may be somebody else's, and well. */
const mayStop = ({ name, data }: ProbeReport): boolean =>
  name === 'data-directory' || (name === 'connection' && ['hung', 'other'].includes(String((data as { why?: unknown } | null)?.why)));

/** What did not need a look at the data, for the history. */
async function noted({ clock, history }: Needs, did: string, begunMs: number): Promise<Mended> {
  const report: RecoveryReport = {
    at: clock.now().toISOString(),
    findings: [],
    decision: 'start',
    because: did,
    steps: [],
    quarantine: null,
    lost: 'nothing',
    durationMs: Math.round(clock.monotonicMs() - begunMs),
    trigger: 'monitor',
  };
  await history.record(report);
  return { did, report };
}

/** As the configuration says, else through whoever runs it here, else by dbkit in the background. */
async function startAgain({ config, spawn, commandEnvironment }: Needs, own: readonly string[]): Promise<void> {
  const [file = 'dbkit', ...args] = config.monitor.startCommand ?? own;
  const child = await spawn({ file, args, env: commandEnvironment, output: 'stderr', newSession: true });
  const { code, signal } = await child.exited;
  if (code !== 0)
    throw new DbkitError(
      'service.failed',
      `${file} ended with ${code === null ? signal : `status ${code}`} when the server was to be started`,
    );
}

async function answered(app: Needs, mended: Mended, signal: AbortSignal): Promise<Mended> {
  const { status, probes } = await awaitHealth(app, { only: ['connection'] }, ANSWER_MS, signal);
  if (status !== 'critical') {
    const report = { ...mended.report, readyAt: mended.report.readyAt ?? app.clock.now().toISOString() };
    await app.history.record(report);
    return { ...mended, report };
  }
  throw new DbkitError('service.unready', `${mended.did}, and yet: ${probes[0]?.summary ?? 'it does not answer'}`, {
    hint: '`dbkit status` and the server’s log say more',
  });
}

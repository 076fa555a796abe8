import { isRunning } from '../control/running.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import { reportStatus, type StatusReport } from './report-status.ts';

type Needs = Parameters<typeof reportStatus>[0];
const EVERY_MS = 50;
const LOOK_MS = 2_000;

/**
 * Resolves as soon as the supervisor has reported ready and the server answers. Rejects at once when a service is held or has failed, with
 * its reason, and with `service.unready` when the time is over.
 */
export async function waitReady(app: Needs & { readonly clock: Clock }, timeoutMs: number, signal: AbortSignal): Promise<StatusReport> {
  if (app.config.postgresql.connectionOnly) return awaitAnswer(app, timeoutMs, signal);
  const deadlineMs = app.clock.monotonicMs() + timeoutMs;
  for (;;) {
    const published = (await isRunning(app.control, signal)) ? await app.board.read() : undefined;
    const stuck = published?.services.find(({ state, failure }) => (state === 'held' || state === 'failed') && failure !== null);
    if (stuck)
      throw new DbkitError('service.unready', `${stuck.name} is ${stuck.state}: ${stuck.failure!.message}`, {
        hint: stuck.failure!.hint ?? undefined,
      });
    const ready =
      published !== undefined &&
      published.readyAt !== null &&
      published.services.every(({ state }) => state === 'ready' || state === 'disabled');
    if (ready) {
      const report = await reportStatus(app, signal);
      if (report.readiness === 'accepting') return report;
    }
    if (app.clock.monotonicMs() > deadlineMs) {
      const states = published?.services.map(({ name, state }) => `${name} ${state}`).join(', ') ?? 'no supervisor is running';
      throw new DbkitError('service.unready', `not ready after ${Math.round(timeoutMs / 1000)} s: ${states}`, {
        hint: '`dbkit status` shows more',
      });
    }
    await app.clock.sleep(EVERY_MS, signal);
  }
}

/** Of a server that is a connection and nothing else: nobody here supervises it. */
async function awaitAnswer(app: Needs, timeoutMs: number, signal: AbortSignal): Promise<StatusReport> {
  const deadlineMs = app.clock.monotonicMs() + timeoutMs;
  for (;;) {
    if (await app.instance.live(LOOK_MS, signal)) return reportStatus(app, signal);
    if (app.clock.monotonicMs() > deadlineMs) {
      const { socketDir, port } = app.config.postgresql;
      throw new DbkitError('service.unready', `${socketDir} does not answer on port ${port} after ${Math.round(timeoutMs / 1000)} s`, {
        hint: 'check the name of the host, the port and the password: `dbkit health` says more',
      });
    }
    await app.clock.sleep(EVERY_MS, signal);
  }
}

import type { Config } from '../config/config.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import type { RestoreReport, RestoreRequest } from '../restore/contract.ts';
import type { Unit } from './unit.ts';

/**
 * Replaces the data of a supervised service: staged while its server still runs, then stopped, swapped and started. `signals.stage` may end it
 * as long as nothing has changed. Rejects with `service.unready` when what was brought back does not start: undo brings the old data back.
 */
export async function restoreUnit(
  { clock, config }: { readonly clock: Clock; readonly config: Config },
  unit: Unit,
  { request, done }: { readonly request: RestoreRequest; done(report: RestoreReport): Promise<void> },
  signals: { readonly stage: AbortSignal; readonly start: AbortSignal },
): Promise<RestoreReport> {
  const restorer = unit.service.restorer!;
  const begunMs = clock.monotonicMs();
  const wasUp = unit.state() === 'ready';
  if (!wasUp) await unit.stop(config.stopSeconds * 1000, signals.start); // Nobody revives it meanwhile.
  const staged = await restorer.stage(request, signals.stage);
  signals.stage.throwIfAborted();
  const stoppedMs = wasUp ? clock.monotonicMs() : begunMs;
  await unit.stop(config.stopSeconds * 1000, signals.start);
  const report = await restorer.publish(staged, signals.start).catch(async (cause: unknown) => {
    await unit.start(signals.start); // Nothing was swapped: the server goes on with what it has.
    throw cause;
  });
  await done(report); // Now: should the start fail, the history knows what was replaced.
  await unit.start(signals.start);
  if (unit.state() !== 'ready') {
    throw new DbkitError(
      'service.unready',
      `${report.source.label} is in place, but the server does not start: ${unit.status().failure?.message ?? unit.state()}`,
      {
        hint: '`dbkit backup undo` puts the replaced data back',
        changed: true,
      },
    );
  }
  const nowMs = clock.monotonicMs();
  return { ...report, durationMs: Math.round(nowMs - begunMs), downtimeMs: Math.round(nowMs - stoppedMs) };
}

import { rm } from 'node:fs/promises';
import type { Hold, PostgresqlOptions } from '../boot/hold.ts';
import type { Keeper } from '../boot/keeper.ts';
import { damageThatReturns } from '../recovery/damage-aside.ts';
import { bootTest } from './boot-test.ts';
import type { RestoreReport, RestoreRequest, Restorer, StagedCluster } from './contract.ts';
import { planRestore } from './plan-restore.ts';
import { requireReachable } from './replaced.ts';
import { takePlace } from './take-place.ts';

/** Restore and undo of one instance: plan, stage beside the data, swap through the journal. */
export function createRestorer(options: PostgresqlOptions, keeper: Keeper): Restorer {
  const { clock, log } = options.system;
  const restorer: Restorer = {
    plan: async (request, signal) => (await planRestore(options, request, signal)).report,
    stage: (request, signal) => keeper.borrow(signal, (held) => stage(options, held, request, signal)),
    publish: (staged, signal) =>
      keeper.borrow(signal, async (held) => {
        const report = await publish(held, staged);
        keeper.forget();
        return report;
      }),
    replace: (request, signal) =>
      keeper.borrow(signal, async () => {
        const begunMs = clock.monotonicMs();
        const report = await restorer.publish(await restorer.stage(request, signal), signal);
        log.info('restore.done', `${report.source.label} has taken the place of the data`, { label: report.source.label });
        return { ...report, durationMs: Math.round(clock.monotonicMs() - begunMs) };
      }),
  };
  return restorer;
}

async function stage(
  options: PostgresqlOptions,
  { local, lock }: Hold,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<StagedCluster> {
  const { volume, owner, system } = local;
  const { report, from, binaries } = await planRestore(options, request, signal);
  if ('replaced' in from) {
    await requireReachable(from.replaced, volume, owner, system);
    return { report, directory: from.replaced.path, knownDamage: await damageThatReturns(from.replaced.path, local) };
  }
  await rm(volume.staged, { recursive: true, force: true }); // Of a restore that was given up.
  try {
    system.log.info('restore.begun', `restoring ${from.backup.label} beside the data`, { label: from.backup.label });
    await from.of.stage(from.backup, { directory: volume.staged, walFrom: undefined, point: request.point }, signal);
    const databases = report.bootTest.planned ? await bootTest({ ...local, binaries }, volume.staged, lock, signal) : null;
    system.reached('restore.staged');
    const knownDamage = from.backup.knownDamage ?? [];
    return { report: { ...report, bootTest: { ...report.bootTest, databases } }, directory: volume.staged, knownDamage };
  } catch (thrown) {
    await rm(volume.staged, { recursive: true, force: true }).catch(() => undefined); // Else the next run removes it.
    throw thrown;
  }
}

async function publish(held: Hold, { report, directory, knownDamage }: StagedCluster): Promise<RestoreReport> {
  const because = `${report.source.kind === 'backup' ? 'a restore of' : 'an undo that brings back'} ${report.source.label} was asked for`;
  const { systemIdentifier } = report.target;
  const quarantine = await takePlace(held, { directory, because, knownDamage, systemIdentifier });
  return { ...report, done: true, target: { ...report.target, quarantine } };
}

import type { ControlRequest } from '../control/contract.ts';
import { isDamaged } from '../health/check.ts';
import { withAny } from '../kernel/deadline.ts';
import { DbkitError } from '../kernel/errors.ts';
import { type RecoverRequest, type RecoveryReport, serving } from '../recovery/report.ts';
import { type RestoreReport, recoveryOf } from '../restore/contract.ts';
import type { UpgradeReport } from '../upgrade/contract.ts';
import { withAmcheck } from '../upkeep/check-structures.ts';
import { makeRoom } from '../upkeep/make-room.ts';
import { restoreUnit } from './supervised-restore.ts';
import { upgradeUnit } from './supervised-upgrade.ts';
import type { Supervision } from './supervision.ts';
import type { Unit } from './unit.ts';
import { recoveryOf as recoveryOfUpgrade } from './upgrade-data.ts';

/** One request of the control socket, carried out. Rejects with the failure, which travels to the asker; `gone` fires when the asker has left. */
export async function answer(supervision: Supervision, request: ControlRequest, signal: AbortSignal, gone: AbortSignal): Promise<unknown> {
  const { app, stopping, status, settled } = supervision;
  const stopMs = app.config.stopSeconds * 1000;
  switch (request.command) {
    case 'ping':
      return { pid: process.pid };
    case 'status':
      return status();
    case 'shutdown':
      supervision.end();
      return status();
    case 'reload':
      for (const unit of supervision.units) await unit.reload();
      return status();
    case 'recover':
      return recover(supervision, request.request, signal);
    case 'restore':
      return restore(supervision, request, signal, gone);
    case 'upgrade':
      return upgrade(supervision, request, signal, gone);
    case 'start':
      for (const unit of unitsNamed(supervision, request.service)) await unit.start(stopping);
      break;
    case 'stop':
      for (const unit of unitsNamed(supervision, request.service).toReversed()) await unit.stop(stopMs, signal);
      break;
    case 'restart':
      for (const unit of unitsNamed(supervision, request.service).toReversed()) await unit.stop(stopMs, signal);
      for (const unit of unitsNamed(supervision, request.service)) await unit.start(stopping);
      break;
  }
  await settled();
  return status();
}

function unitsNamed({ units }: Supervision, name: string | undefined): readonly Unit[] {
  const chosen = name === undefined ? units : units.filter((unit) => unit.name === name);
  if (chosen.length > 0) return chosen;
  throw new DbkitError('usage.invalid', `there is no service '${name}'`, {
    hint: `there are: ${units.map((unit) => unit.name).join(', ')}`,
  });
}

/** The server is stopped for it and started after it; the container and its command live on. */
async function recover(supervision: Supervision, request: RecoverRequest, signal: AbortSignal): Promise<RecoveryReport> {
  const { app, units, stopping, settled, recovered, publish } = supervision;
  const unit = units.find(({ service }) => service.recover !== undefined);
  if (!unit) throw new DbkitError('usage.invalid', 'no service here can be recovered');
  const plan = await unit.service.recover!({ ...request, dryRun: true }, signal);
  const mayServe = unit.state() === 'ready' && plan.decision === 'start';
  if (mayServe && (request.trigger === 'monitor' || !(await isDamaged(app, signal)))) return serving(plan); // A monitor has looked itself.
  if (request.dryRun) return plan;
  if (unit.state() === 'ready' && plan.decision === 'refuse') throw refusedWhileServing(plan);
  await unit.stop(app.config.stopSeconds * 1000, signal);
  await makeRoom(app, signal);
  const report = await unit.service.recover!(request, signal);
  const told = { ...report, trigger: request.trigger ?? 'person' };
  await recovered(told);
  await unit.start(stopping);
  await settled();
  if (unit.state() !== 'ready') return told;
  const atStart = supervision.status().lastRecovery; // The server itself may have known of more than the files show.
  const outcome = atStart !== null && atStart.at !== told.at && atStart.decision !== 'start' ? { ...atStart, trigger: told.trigger } : told;
  const ready = { ...outcome, readyAt: app.clock.now().toISOString() };
  await recovered(ready);
  const checked = await withAmcheck(app, ready, signal);
  if (checked !== ready) await recovered(checked);
  publish();
  return checked;
}

async function restore(
  { app, units, stopping, settled, recovered }: Supervision,
  { request, dryRun }: Extract<ControlRequest, { command: 'restore' }>,
  signal: AbortSignal,
  gone: AbortSignal,
): Promise<RestoreReport> {
  const unit = units.find(({ service }) => service.restorer !== undefined);
  if (!unit) throw new DbkitError('usage.invalid', 'no service here can be restored');
  if (dryRun) return unit.service.restorer!.plan(request, signal);
  try {
    const done = (report: RestoreReport): Promise<void> => recovered(recoveryOf(report, app.clock.now().toISOString()));
    return await withAny([signal, gone], (stage) => restoreUnit(app, unit, { request, done }, { stage, start: stopping }));
  } finally {
    await settled();
  }
}

async function upgrade(
  { app, units, stopping, settled, recovered }: Supervision,
  { request, backup }: Extract<ControlRequest, { command: 'upgrade' }>,
  signal: AbortSignal,
  gone: AbortSignal,
): Promise<UpgradeReport> {
  const unit = units.find(({ service }) => service.upgrader !== undefined);
  if (!unit) throw new DbkitError('usage.invalid', 'no service here can be upgraded');
  try {
    const done = (report: UpgradeReport): Promise<void> => recovered(recoveryOfUpgrade(report, app.clock.now().toISOString()));
    return await withAny([signal, gone], (work) => upgradeUnit(app, unit, { request, backup, done }, { work, start: stopping }));
  } finally {
    await settled();
  }
}

/** A server is not ended for a recovery that is refused: it may be all that is left of the data. */
function refusedWhileServing({ findings, because }: RecoveryReport): DbkitError {
  const evidence = findings.find(({ severity }) => severity === 'certain')?.evidence;
  return new DbkitError('recovery.refused', evidence === undefined ? because : `${evidence}; ${because}`, {
    hint: 'the server was left running: dump what it still answers (pg_dump) before anything ends it; `dbkit recover --dry-run` shows the evidence',
  });
}

import type { Backups } from '../backups/backup.ts';
import type { ExpireQuarantined } from '../backups/quarantine-retention.ts';
import type { Config } from '../config/config.ts';
import type { Control, ControlRequest } from '../control/contract.ts';
import type { ServiceStatus, StatusBoard, SupervisorStatus } from '../control/status.ts';
import { isDamaged } from '../health/check.ts';
import type { Instance } from '../instance/contract.ts';
import { withAny } from '../kernel/deadline.ts';
import { DbkitError, isAbort, wordsOf } from '../kernel/errors.ts';
import type { Clock, Logger } from '../kernel/machine.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import { type RecoverRequest, type RecoveryReport, serving } from '../recovery/report.ts';
import { type RestoreReport, recoveryOf } from '../restore/contract.ts';
import { withAmcheck } from '../upkeep/check-structures.ts';
import { makeRoom } from '../upkeep/make-room.ts';
import type { Upkeep } from '../upkeep/needs.ts';
import type { InitScript } from './init-script.ts';
import { decideRestart } from './restart-policy.ts';
import type { Service } from './service.ts';
import { startLayers } from './service-order.ts';
import { planStop } from './stop-plan.ts';
import { restoreUnit } from './supervised-restore.ts';
import { createUnit, type Unit } from './unit.ts';

export type SuperviseNeeds = {
  readonly config: Config;
  readonly services: readonly Service[];
  readonly disabled: readonly string[];
  readonly initScripts: readonly InitScript[];
  readonly control: Control;
  readonly board: StatusBoard;
  readonly history: RecoveryHistory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly backups: readonly Backups[];
  readonly instance: Instance;
  readonly upkeep: Upkeep;
  readonly expireQuarantined: ExpireQuarantined;
};

/** The running whole: what `entrypoint` and `up` wait on and stop. */
export interface Supervisor {
  /** Resolves once every service is ready or held; rejects when one fails whose policy is `exit`. */
  readonly booted: Promise<void>;
  /** Rejects when a service has failed for good after the boot; resolves when a `shutdown` was asked for. */
  readonly ended: Promise<void>;
  /** Stops services in reverse order within what is left of the budget. `hurried` may fire in the middle: then immediate at once. */
  stop(hurried: AbortSignal): Promise<void>;
  reload(): Promise<void>;
  status(): SupervisorStatus;
}

/** Boots the services in layers, answers the control socket, restarts what dies, and publishes every change. */
export async function supervise(app: SuperviseNeeds, mode: SupervisorStatus['mode']): Promise<Supervisor> {
  const { board, history, clock, log, config } = app;
  const layers = startLayers(app.services, app.disabled);
  const startedAt = clock.now().toISOString();
  const stopping = new AbortController();
  let readyAt: string | null = null;
  let lastRecovery: RecoveryReport | null = (await history.newest()) ?? null;
  let resolveEnd: () => void;
  let rejectEnd: (cause: unknown) => void;
  const ended = new Promise<void>((resolve, reject) => {
    resolveEnd = resolve;
    rejectEnd = reject;
  });
  ended.catch(() => undefined); // Asked for later; a failure before that is not unhandled.

  const status = (): SupervisorStatus => ({
    schema: 'dbkit.supervisor/v1',
    pid: process.pid,
    mode,
    startedAt,
    readyAt,
    services: [...units.map((unit) => unit.status()), ...app.disabled.map((name) => disabledRow(name, startedAt))],
    lastRecovery,
  });
  const publish = (): void => {
    board
      .publish(status())
      .catch((cause: unknown) => log.warn('status.unpublished', `the status could not be published: ${wordsOf(cause)}`));
  };
  const recovered = async (report: RecoveryReport): Promise<void> => {
    lastRecovery = report;
    await history.record(report);
  };
  const units = app.services.map((service) =>
    createUnit(service, { clock, log, changed: publish, recovered, failed: (cause) => rejectEnd(cause), decideRestart }),
  );
  const unitOf = (service: Service): Unit => units.find(({ name }) => name === service.name)!;
  const unitsNamed = (name: string | undefined): Unit[] => {
    const chosen = name === undefined ? units : units.filter((unit) => unit.name === name);
    if (chosen.length === 0)
      throw new DbkitError('usage.invalid', `there is no service '${name}'`, {
        hint: `there are: ${units.map((unit) => unit.name).join(', ')}`,
      });
    return chosen;
  };
  const allReady = (): boolean => units.every((unit) => unit.state() === 'ready' || unit.service.onFail === 'ignore');

  const server = await app.control.serve((request, signal, gone) =>
    withAny([signal, stopping.signal], (either) => handle(request, either, gone)).catch((cause: unknown) => {
      if (!(isAbort(cause) && stopping.signal.aborted)) throw cause;
      throw new DbkitError('service.unready', 'dbkit was told to stop in the middle of it', {
        hint: 'the next start finishes or takes back what was begun; `dbkit status` then says what became of it',
      });
    }),
  );

  async function boot(): Promise<void> {
    await board.setReady(false);
    publish();
    for (const layer of layers) {
      const outcomes = await Promise.allSettled(layer.map((service) => unitOf(service).start(stopping.signal)));
      const failure = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failure) throw failure.reason;
    }
    if (allReady()) for (const script of app.initScripts) await script.run(stopping.signal);
    readyAt = clock.now().toISOString();
    await board.setReady(allReady());
    publish();
  }

  async function handle(request: ControlRequest, signal: AbortSignal, gone: AbortSignal): Promise<unknown> {
    switch (request.command) {
      case 'ping':
        return { pid: process.pid };
      case 'status':
        return status();
      case 'shutdown':
        resolveEnd();
        return status();
      case 'reload':
        await reload();
        return status();
      case 'recover':
        return recover(request.request, signal);
      case 'restore':
        return restore(request, signal, gone);
      case 'start':
        for (const unit of unitsNamed(request.service)) await unit.start(stopping.signal);
        break;
      case 'stop':
        for (const unit of unitsNamed(request.service).toReversed()) await unit.stop(config.stopSeconds * 1000, signal);
        break;
      case 'restart':
        for (const unit of unitsNamed(request.service).toReversed()) await unit.stop(config.stopSeconds * 1000, signal);
        for (const unit of unitsNamed(request.service)) await unit.start(stopping.signal);
        break;
    }
    await board.setReady(allReady());
    publish();
    return status();
  }

  /** The server is stopped for it and started after it; the container and its command live on. */
  async function recover(request: RecoverRequest, signal: AbortSignal): Promise<RecoveryReport> {
    const unit = units.find(({ service }) => service.recover !== undefined);
    if (!unit) throw new DbkitError('usage.invalid', 'no service here can be recovered');
    const plan = await unit.service.recover!({ ...request, dryRun: true }, signal);
    if (unit.state() === 'ready' && plan.decision === 'start' && !(await isDamaged(app, signal))) return serving(plan);
    if (request.dryRun) return plan;
    if (unit.state() === 'ready' && plan.decision === 'refuse') throw refusedWhileServing(plan);
    await unit.stop(config.stopSeconds * 1000, signal);
    await makeRoom(app, signal);
    const report = await unit.service.recover!(request, signal);
    const told = { ...report, trigger: request.trigger ?? 'person' };
    await recovered(told);
    await unit.start(stopping.signal);
    await board.setReady(allReady());
    publish();
    if (unit.state() !== 'ready') return told;
    const ready = { ...told, readyAt: clock.now().toISOString() };
    await recovered(ready);
    const checked = await withAmcheck(app, ready, signal);
    if (checked !== ready) await recovered(checked);
    publish();
    return checked;
  }

  async function restore(
    { request, dryRun }: Extract<ControlRequest, { command: 'restore' }>,
    signal: AbortSignal,
    gone: AbortSignal,
  ): Promise<RestoreReport> {
    const unit = units.find(({ service }) => service.restorer !== undefined);
    if (!unit) throw new DbkitError('usage.invalid', 'no service here can be restored');
    if (dryRun) return unit.service.restorer!.plan(request, signal);
    try {
      const done = (report: RestoreReport): Promise<void> => recovered(recoveryOf(report, clock.now().toISOString()));
      return await withAny([signal, gone], (stage) => restoreUnit(app, unit, { request, done }, { stage, start: stopping.signal }));
    } finally {
      await board.setReady(allReady());
      publish();
    }
  }

  async function reload(): Promise<void> {
    for (const unit of units) await unit.reload();
  }

  async function stop(hurried: AbortSignal): Promise<void> {
    stopping.abort();
    await board.setReady(false).catch(() => undefined);
    const plan = planStop(config.stopSeconds * 1000);
    const deadlineMs = clock.monotonicMs() + plan.endMs - plan.commandMs;
    for (const layer of layers.toReversed()) {
      await Promise.all(layer.map((service) => unitOf(service).stop(deadlineMs - clock.monotonicMs(), hurried)));
    }
    publish();
    await server.close();
    await board.publish(status()).catch(() => undefined);
  }

  const booted = boot().catch((cause: unknown) => {
    if (!(isAbort(cause) && stopping.signal.aborted)) throw cause;
  });
  booted.catch(() => undefined);
  return { booted, ended, stop, reload, status };
}

const disabledRow = (name: string, since: string): ServiceStatus => ({
  name,
  state: 'disabled',
  pid: null,
  since,
  restarts: 0,
  note: null,
  recovery: null,
  failure: null,
  details: {},
});

/** A server is not ended for a recovery that is refused: it may be all that is left of the data. */
function refusedWhileServing({ findings, because }: RecoveryReport): DbkitError {
  const evidence = findings.find(({ severity }) => severity === 'certain')?.evidence;
  return new DbkitError('recovery.refused', evidence === undefined ? because : `${evidence}; ${because}`, {
    hint: 'the server was left running: dump what it still answers (pg_dump) before anything ends it; `dbkit recover --dry-run` shows the evidence',
  });
}

import type { ServiceStatus, SupervisorStatus } from '../control/status.ts';
import { withAny } from '../kernel/deadline.ts';
import { DbkitError, isAbort, wordsOf } from '../kernel/errors.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { answer } from './requests.ts';
import { decideRestart } from './restart-policy.ts';
import type { Service } from './service.ts';
import { startLayers } from './service-order.ts';
import { planStop } from './stop-plan.ts';
import type { SuperviseNeeds, Supervision } from './supervision.ts';
import { createUnit, type Unit } from './unit.ts';

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
  const layers = startLayers(app.services, app.disabled);
  const stopping = new AbortController();
  let end: () => void;
  let fail: (cause: unknown) => void;
  const ended = new Promise<void>((resolve, reject) => {
    [end, fail] = [resolve, reject];
  });
  ended.catch(() => undefined); // Asked for later; a failure before that is not unhandled.
  const begun = { readyAt: null as string | null };
  const supervision = await observe(app, { mode, begun, stopping: stopping.signal, end: end!, fail: fail! });
  const server = await app.control.serve((request, signal, gone) =>
    withAny([signal, stopping.signal], (either) => answer(supervision, request, either, gone)).catch((cause: unknown) => {
      if (!(isAbort(cause) && stopping.signal.aborted)) throw cause;
      throw new DbkitError('service.unready', 'dbkit was stopped before this was done', {
        hint: 'the next start finishes or takes back what was begun; `dbkit status` then says what became of it',
      });
    }),
  );
  const booted = boot(supervision, layers, begun).catch((cause: unknown) => {
    if (!(isAbort(cause) && stopping.signal.aborted)) throw cause;
  });
  booted.catch(() => undefined);
  return {
    booted,
    ended,
    status: supervision.status,
    reload: async () => {
      for (const unit of supervision.units) await unit.reload();
    },
    stop: async (hurried) => {
      stopping.abort();
      await stopLayers(supervision, layers, hurried);
      await server.close();
      await app.board.publish(supervision.status()).catch(() => undefined);
    },
  };
}

interface Observed {
  readonly mode: SupervisorStatus['mode'];
  readonly begun: { readonly readyAt: string | null };
  readonly stopping: AbortSignal;
  end(): void;
  fail(cause: unknown): void;
}

/** The units, and everything that is told about them. */
async function observe(app: SuperviseNeeds, { mode, begun, stopping, end, fail }: Observed): Promise<Supervision> {
  const { board, history, clock, log } = app;
  const startedAt = clock.now().toISOString();
  let lastRecovery: RecoveryReport | null = (await history.newest()) ?? null;
  const status = (): SupervisorStatus => ({
    schema: 'dbkit.supervisor/v1',
    pid: process.pid,
    mode,
    startedAt,
    readyAt: begun.readyAt,
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
  const units: readonly Unit[] = app.services.map((service) =>
    createUnit(service, { clock, log, changed: publish, recovered, failed: fail, decideRestart }),
  );
  return {
    app,
    units,
    stopping,
    status,
    publish,
    recovered,
    end,
    settled: async () => {
      await board.setReady(allReady(units));
      publish();
    },
  };
}

const allReady = (units: readonly Unit[]): boolean => units.every((unit) => unit.state() === 'ready' || unit.service.onFail === 'ignore');

async function boot(supervision: Supervision, layers: readonly (readonly Service[])[], begun: { readyAt: string | null }): Promise<void> {
  const { app, units, stopping, publish, settled } = supervision;
  await app.board.setReady(false);
  publish();
  for (const layer of layers) {
    const outcomes = await Promise.allSettled(layer.map((service) => unitOf(units, service).start(stopping)));
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure) throw failure.reason;
  }
  if (allReady(units)) for (const script of app.initScripts) await script.run(stopping);
  begun.readyAt = app.clock.now().toISOString();
  await settled();
}

async function stopLayers(supervision: Supervision, layers: readonly (readonly Service[])[], hurried: AbortSignal): Promise<void> {
  const { app, units, publish } = supervision;
  await app.board.setReady(false).catch(() => undefined);
  const plan = planStop(app.config.stopSeconds * 1000);
  const deadlineMs = app.clock.monotonicMs() + plan.endMs - plan.commandMs;
  for (const layer of layers.toReversed())
    await Promise.all(layer.map((service) => unitOf(units, service).stop(deadlineMs - app.clock.monotonicMs(), hurried)));
  publish();
}

const unitOf = (units: readonly Unit[], service: Service): Unit => units.find(({ name }) => name === service.name)!;

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

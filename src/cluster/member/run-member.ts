import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { Child, ExitReason } from '../../kernel/machine.ts';
import type { RunningService, StopMode } from '../../kernel/running-service.ts';
import { createPatroni } from '../patroni.ts';
import { signalTo } from '../processes.ts';
import { admitAgain } from './admit-data.ts';
import { fenceServer, stopServer } from './fence.ts';
import { createGuard, type Guard } from './guard.ts';
import { lastLines } from './last-lines.ts';
import type { Member } from './member.ts';
import { guardedBy } from './orphan.ts';
import { createPatroniKeeper, type PatroniKeeper } from './patroni-keeper.ts';
import { fileForPatroni } from './restore-file.ts';
import { stopStale } from './stale.ts';
import { noteEnded } from './unfinished.ts';

const READY_EVERY_MS = 250;
const SAY_EVERY_MS = 30_000;
const KILL_AFTER_MS = 1_000;
const LEFT_MS = 10_000;
const never = new AbortController().signal;

/**
 * Runs Patroni with its guard. Resolves when its server is ready (Patroni's /readiness: a leader, or a replica that follows), however long a copy
 * takes. Rejects with `service.failed` and the last lines of its log where Patroni does not stay.
 */
export async function runMember(member: Member, signal: AbortSignal): Promise<RunningService> {
  const { file, options, log } = member;
  const { clock, log: told } = options.system;
  const over = new AbortController();
  const ask = createPatroni(undefined);
  let keeper: PatroniKeeper | undefined;
  const guard = createGuard({ clock, log: told, ask, member: file, killPatroni: () => keeper?.kill('SIGKILL') });
  let isFirst = true;
  keeper = createPatroniKeeper({
    clock,
    log: told,
    spawn: () => spawnPatroni(member),
    beforeStart: async (bounded) => {
      const isPaused = guard.view()?.isPaused === true; // Nobody else is promoted, and without the store no Patroni could start it again.
      const mayGoOn = isFirst ? member.isLeaseHeld : isPaused || guard.isLeaseHeld();
      const isStart = isFirst;
      isFirst = false;
      if (!mayGoOn) await stopStale(file, options.system, bounded);
      if (!isStart) await admitAgain(member, bounded);
      guard.started(!mayGoOn);
    },
  });
  const exited = keeper.keep(over.signal).finally(() => over.abort());
  exited.catch(() => undefined);
  if (options.settings.guard) void guard.watch(over.signal);
  const running = asService(member, { keeper, guard, exited, over });
  try {
    await untilReady(member, exited, signal);
    guard.ready();
    await noteEnded(member);
    return running;
  } catch (cause) {
    await running.stop('fast', never).catch(() => undefined);
    if (signal.aborted) throw cause;
    throw new DbkitError('service.failed', `${wordsOf(cause)}\n${await lastLines(log, 20)}`.trimEnd(), {
      hint: `its log is ${log}`,
      cause,
    });
  }
}

async function spawnPatroni({ options, owner, log }: Member): Promise<Child> {
  const { settings, system, config, environment } = options;
  const [file, ...args] = settings.command;
  const own = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[0].startsWith('PATRONI_') && entry[1] !== undefined,
  );
  const { PATH = '' } = system.childEnvironment;
  const path = config.postgresql.binDir === undefined ? PATH : `${config.postgresql.binDir}:${PATH}`;
  const env = { ...system.childEnvironment, PATH: path, ...Object.fromEntries(own), ...guardedBy(config.stateDir) };
  return system.spawn({
    file: file!,
    args: [...args, await fileForPatroni(config, settings.config)],
    env,
    as: owner,
    output: { appendTo: log },
    newSession: true,
  });
}

interface Life {
  readonly keeper: PatroniKeeper;
  readonly guard: Guard;
  readonly exited: Promise<ExitReason>;
  readonly over: AbortController;
}

function asService({ file, options, log }: Member, { keeper, guard, exited, over }: Life): RunningService {
  const stop = async (mode: StopMode): Promise<void> => {
    keeper.letGo();
    over.abort(); // The guard must not end what ends by itself, or start it again.
    if (mode === 'immediate') await endNow({ file, options, log }, keeper, exited);
    else keeper.kill('SIGCONT');
    keeper.kill('SIGTERM');
    await exited.catch(() => undefined);
    const { clock } = options.system;
    await stopServer(file.dataDir, { timeoutMs: LEFT_MS, clock, signal: never }); // A paused Patroni leaves its server alone.
  };
  let stopped: Promise<void> = Promise.resolve();
  return {
    get pid() {
      return keeper.pid();
    },
    exited: exited.then(
      async (exit) => {
        await stopped.catch(() => undefined);
        return exit;
      },
      () => ({ code: 1, signal: null }),
    ),
    stop: (mode) => {
      stopped = stop(mode);
      return stopped;
    },
    reload: async () => keeper.kill('SIGHUP'),
    get details() {
      const view = guard.view();
      const role = view === undefined ? null : view.isPrimary ? 'leader' : 'replica';
      return {
        member: file.name,
        scope: file.scope,
        role,
        paused: view?.isPaused ?? null,
        guard: options.settings.guard,
        fences: guard.fences(),
        log,
      };
    },
  };
}

/** The end of the budget: an immediate shutdown for the server, and a second later SIGKILL for a Patroni that does not end. */
async function endNow(
  { file, options }: Pick<Member, 'file' | 'options' | 'log'>,
  keeper: PatroniKeeper,
  exited: Promise<ExitReason>,
): Promise<void> {
  const { clock } = options.system;
  await fenceServer(file.dataDir, clock).catch((cause: unknown) => {
    options.system.log.warn('member.unseen', `the server of ${file.name} could not be seen to end: ${wordsOf(cause)}`);
  });
  keeper.kill('SIGTERM');
  await Promise.race([exited.catch(() => undefined), clock.sleep(KILL_AFTER_MS, never)]);
  const pid = keeper.pid();
  if (pid !== undefined) signalTo(pid, 'SIGKILL');
}

async function untilReady({ file, options }: Member, exited: Promise<ExitReason>, signal: AbortSignal): Promise<void> {
  const { clock, log } = options.system;
  const ask = createPatroni(undefined);
  let ended = false;
  const end = exited.then(
    () => {
      ended = true;
    },
    (cause: unknown) => {
      ended = true;
      throw cause;
    },
  );
  end.catch(() => undefined);
  let saidMs = clock.monotonicMs();
  while ((await ask(file, '/readiness', signal)).status !== 200) {
    if (ended) await end;
    if (ended) throw new DbkitError('service.failed', 'Patroni ended before its server was ready');
    if (clock.monotonicMs() - saidMs > SAY_EVERY_MS) {
      saidMs = clock.monotonicMs();
      log.info('member.waiting', `${file.name} is not ready yet: Patroni copies its data, or waits for a leader`);
    }
    await clock.sleep(READY_EVERY_MS, signal);
  }
}

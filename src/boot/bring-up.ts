import { unlink } from 'node:fs/promises';
import type { Finding } from '../inspection/findings.ts';
import { type Inspection, inspect } from '../inspection/inspect.ts';
import { voidInventory } from '../inspection/inventory.ts';
import { syncCluster } from '../instance/initialize/initialize.ts';
import { ensureApplication } from '../instance/server/application.ts';
import { type Launch, launch, signalStop } from '../instance/server/server.ts';
import { lastLines } from '../instance/server/server-log.ts';
import { walKeepSetting } from '../instance/server/wal-keep.ts';
import { present } from '../instance/volume.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import type { RunningService } from '../kernel/running-service.ts';
import { carryOut } from '../recovery/carry-out.ts';
import { rememberStarted } from '../recovery/configuration.ts';
import { rebuiltReport, reportOf } from '../recovery/describe.ts';
import { findingKey, makePlan, type Plan } from '../recovery/plan.ts';
import { readMark } from '../wal/mark.ts';
import { afterwards, markWhileRunning, rememberStop } from './after-stop.ts';
import { complaintsOf, examine } from './complaints.ts';
import { forgetRestore } from './forget-restore.ts';
import type { Handles, Hold, PostgresqlOptions } from './hold.ts';
import { beforeStart, judgeRecovery } from './judge-recovery.ts';

const IMMEDIATE_AFTER_S = 20;
const ROUNDS_MAX = 8; // Each round mends something new or counts against the attempts: a limit for the day this is wrong.

/**
 * Starts the server and proves that it answers. What it complains about is matched with the triage table: mended and started again, tried
 * again where waiting helps, or refused in its own words. Rejects with the last 20 lines of its log.
 */
export async function bringUp(
  hold: Hold,
  before: Inspection,
  options: PostgresqlOptions,
  handles: Handles,
  signal: AbortSignal,
): Promise<RunningService> {
  try {
    return await raise(hold, before, options, handles, signal);
  } catch (cause) {
    // A stop that comes before `ready` is a clean one too: without its inventory the next start would know less than this one did.
    if (signal.aborted) await rememberStop(hold.local, unsettled(before));
    throw cause;
  }
}

/** What was seen before the start and is not settled: the next start must ask the server again. */
const unsettled = ({ report }: Inspection): Finding[] =>
  report.findings.filter(({ code }) => /^(relation|page|index|catalog|database)\./.test(code));

async function raise(
  hold: Hold,
  before: Inspection,
  options: PostgresqlOptions,
  handles: Handles,
  signal: AbortSignal,
): Promise<RunningService> {
  const { local, lock } = hold;
  const { settings, system, volume } = local;
  const tried = new Set<string>();
  let attempts = 0;
  const overrides = await walKeepSetting(local, options.config.recovery.walKeep);
  for (let round = 1; round <= ROUNDS_MAX; round += 1) {
    await voidInventory(system, local.stateDir);
    system.reached('server.voided-inventory');
    const control = beforeStart(local);
    const launched = await launch(local, { dataDir: volume.dataDir, privateSocketDir: undefined, lock, overrides }, signal);
    const serving = launched.kind === 'serving';
    const begunMs = system.clock.monotonicMs();
    const { complaints, rebuilt, plan } = await judge(hold, options, launched, { before, tried }, signal);
    if (rebuilt.length > 0) handles.note(rebuiltReport(local, rebuilt, begunMs));
    if (serving && (plan === undefined || plan.decision === 'start')) {
      const short = await judgeRecovery(local, { before: control, seen: before, standby: launched.standby });
      if (short) handles.note(short);
      if (plan) handles.note(reportOf(local, plan, await carryOut(local, plan, lock, signal), begunMs));
      return settle(hold, handles, launched, complaints, signal);
    }
    await down(launched, system.clock);
    if (plan && plan.decision !== 'start') {
      handles.note(reportOf(local, plan, await carryOut(local, plan, lock, signal), begunMs));
      for (const finding of complaints) tried.add(findingKey(finding));
      continue;
    }
    attempts += 1;
    if (attempts >= settings.startAttempts) throw gaveUp(launched, attempts);
    system.log.warn(
      'server.retry',
      `PostgreSQL did not start; trying again in ${settings.startRetrySeconds} s (${attempts + 1} of ${settings.startAttempts})`,
    );
    await system.clock.sleep(settings.startRetrySeconds * 1000, signal);
  }
  throw new DbkitError('service.failed', 'PostgreSQL does not come up, and every remedy was tried', {
    hint: '`dbkit inspect --deep` shows what is damaged',
  });
}

interface Judgement {
  readonly complaints: readonly Finding[];
  /** Indexes of the user's that were rebuilt on the running server. */
  readonly rebuilt: readonly Finding[];
  readonly plan: Plan | undefined;
}

/** Hears what the server says, or asks it, and plans. A refusal does not leave it running. */
async function judge(
  hold: Hold,
  options: PostgresqlOptions,
  launched: Launch,
  { before, tried }: { before: Inspection; tried: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<Judgement> {
  try {
    const { complaints, rebuilt, answering } =
      launched.kind === 'serving'
        ? await examine(hold.local, before, signal)
        : { complaints: await complaintsOf(hold.local, launched), rebuilt: [], answering: false };
    return {
      complaints,
      rebuilt,
      plan:
        complaints.length > 0
          ? await planFor(hold, options, { reported: complaints, tried, serving: launched.kind === 'serving', answering }, signal)
          : undefined,
    };
  } catch (cause) {
    await down(launched, hold.local.system.clock);
    throw cause;
  }
}

/** Looks again and asks the ladder. What the inspection had found of a server that runs now was judged before its start. */
async function planFor(
  { local }: Hold,
  { config, backups }: PostgresqlOptions,
  {
    reported,
    tried,
    serving,
    answering,
  }: { reported: readonly Finding[]; tried: ReadonlySet<string>; serving: boolean; answering: boolean },
  signal: AbortSignal,
): Promise<Plan> {
  const seen = await inspect(local.volume.dataDir, { stateDir: local.stateDir, deep: false, readReached: readMark }, local.system, signal);
  const inspection = serving ? { ...seen, report: { ...seen.report, findings: [] } } : seen;
  return makePlan(local, { inspection, reported, tried, answering, wish: undefined, recovery: config.recovery, backups }, signal);
}

async function down(launched: Launch, clock: Clock): Promise<void> {
  if (launched.kind === 'exited') return;
  const { child } = launched;
  let gone = false;
  const exited = child.exited.then(() => {
    gone = true;
  });
  for (let second = 0; !gone; second += 1) {
    signalStop(child, second < IMMEDIATE_AFTER_S ? 'fast' : 'immediate'); // A server that is restarting after a crash may miss the first.
    await Promise.race([exited, clock.sleep(1_000, new AbortController().signal)]);
  }
}

function gaveUp(launched: Launch, attempts: number): DbkitError {
  const lines = launched.kind === 'serving' ? [] : launched.lines;
  const how = launched.kind === 'stuck' ? 'made no more progress while starting' : 'did not start';
  return new DbkitError(
    'service.failed',
    `PostgreSQL ${how} (${attempts} ${attempts === 1 ? 'attempt' : 'attempts'})\n${lastLines(lines)}`.trimEnd(),
    {
      hint: 'the lines above are the server’s own; nothing was replaced',
    },
  );
}

/** The server answers: the application's role and database are ensured, a new cluster is made durable, and only then it is ready. */
async function settle(
  { local }: Hold,
  handles: Handles,
  { child, standby }: Extract<Launch, { kind: 'serving' }>,
  damage: readonly Finding[],
  signal: AbortSignal,
): Promise<RunningService> {
  const { settings, system, volume, binaries } = local;
  system.reached('initialize.started');
  const isNew = await present(volume.initializing);
  const durable = isNew ? syncCluster(local, signal) : undefined;
  try {
    const ensured = await ensureApplication(local, signal).catch((cause: unknown) => {
      if (isNew || signal.aborted) throw cause;
      system.log.warn('application.unsure', 'could not make sure of the application’s role and database', {
        why: cause instanceof Error ? cause.message : String(cause),
      });
      return [];
    });
    if (ensured.length > 0) system.log.info('application.ensured', ensured.join(', '));
    system.reached('initialize.ensured');
    await forgetRestore(local, volume.dataDir);
    await rememberStarted(local).catch((cause: unknown) =>
      system.log.warn('configuration.unkept', 'the configuration that the server came up with could not be kept', { why: String(cause) }),
    );
    await durable;
    if (isNew) await unlink(volume.initializing);
  } catch (cause) {
    signalStop(child, 'fast');
    await child.exited;
    throw cause;
  }
  const marking = markWhileRunning(local, child);
  return {
    pid: child.pid,
    exited: afterwards(local, handles, child, marking, damage),
    stop: async (mode, stopSignal) => {
      signalStop(child, mode);
      await untilAborted(child.exited, stopSignal);
    },
    reload: async () => child.kill('SIGHUP'),
    details: {
      version: binaries.version,
      port: settings.port,
      dataDir: volume.dataDir,
      socketDir: settings.socketDir,
      standby,
      newCluster: isNew,
    },
  };
}

async function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    void work.finally(() => signal.removeEventListener('abort', abort)).then(() => resolve());
  });
}

import { join } from 'node:path';
import { sources } from '../backups/find-baseline.ts';
import { touchedFiles } from '../inspection/findings.ts';
import { type Inspection, inspect } from '../inspection/inspect.ts';
import { findBinaries } from '../instance/binaries.ts';
import { clearStaleSocket, refusePortInUse } from '../instance/guard/ports.ts';
import { replacedBefore } from '../instance/initialize/marker.ts';
import type { Local } from '../instance/local.ts';
import { serverOwner } from '../instance/owner.ts';
import { present, volumeOf } from '../instance/volume.ts';
import { DbkitError, isAbort } from '../kernel/errors.ts';
import type { RunningService } from '../kernel/running-service.ts';
import { ascend } from '../recovery/ascend.ts';
import { goingOn, joinReports, reportOf } from '../recovery/describe.ts';
import { incident } from '../recovery/incidents.ts';
import { fromDump } from '../recovery/ladder.ts';
import { howMuch } from '../recovery/losses.ts';
import { makePlan } from '../recovery/plan.ts';
import type { RecoverRequest, RecoveryReport } from '../recovery/report.ts';
import { unknownReport } from '../recovery/unknown-report.ts';
import { readUntold } from '../recovery/untold.ts';
import { bringUp } from './bring-up.ts';
import type { Hold, PostgresqlOptions } from './hold.ts';
import { createHolder } from './holder.ts';

/** Keeps one instance: what the service does with it, from the first look at the directory to the running server. */
export interface Keeper {
  prepare(signal: AbortSignal): Promise<void>;
  start(signal: AbortSignal): Promise<RunningService>;
  recover(request: RecoverRequest, signal: AbortSignal): Promise<RecoveryReport>;
  lastRecovery(): RecoveryReport | undefined;
  /** Calls back when that has changed, also after the start: see `Service`. */
  onLaterReport(tell: () => void): void;
  /**
   * With everything held that may be touched: what the running server holds, or for as long as `work` takes. What is staged beside the data
   * survives it.
   */
  borrow<T>(signal: AbortSignal, work: (held: Hold) => Promise<T>): Promise<T>;
  /** The data is another one now: what was seen of it no longer holds. */
  forget(): void;
}

export function createKeeper(options: PostgresqlOptions): Keeper {
  let seen: Inspection | undefined;
  let last: RecoveryReport | undefined;
  let tell = (): void => undefined;
  let published = false; // A new cluster that has not been started yet: it bears the marker of an unfinished one, but this process knows better.
  const note = (report: RecoveryReport): void => {
    const { findings, steps, decision, losses } = report;
    const tells = findings.length > 0 ? findings.some(({ code }) => code !== 'entry.foreign') : steps.length > 0;
    if (tells || decision !== 'start' || howMuch(losses) !== 'nothing') last = joinReports(last, report);
    tell();
  };
  const { release, holding, borrow } = createHolder(options);

  /** Where permissions were in the way everything is looked at again after they are mended, the choice of the programs included. */
  const mendAll = async (request: RecoverRequest, signal: AbortSignal): Promise<Mended> => {
    for (let round = 1; round <= 2; round += 1) {
      const mended = await holding(signal, (held) => mend(held, options, request, signal));
      note(mended.report);
      if (mended.inspection.readable || request.dryRun) return mended;
      await release();
    }
    throw new DbkitError('data.owner', `${options.config.postgresql.dataDir} cannot be read, although its permissions were mended`, {
      hint: 'look at its mount: `dbkit inspect` names what may not be read; nothing was replaced',
    });
  };

  return {
    lastRecovery: () => last,
    onLaterReport: (listener) => {
      tell = listener;
    },
    borrow,
    forget: () => {
      seen = undefined;
      last = undefined;
      published = false;
    },
    prepare: async (signal) => {
      if (!published) last = undefined;
      await holding(signal, async ({ local: { settings, system } }) => {
        await clearStaleSocket(settings.socketDir, settings.port, system); // Every refusal comes before anything is replaced.
        await refusePortInUse(settings.port, settings.listenAddresses, system.clock, signal);
      });
      if (published) return;
      const { report, inspection } = await mendAll({ dryRun: false, strategy: undefined }, signal);
      seen = inspection;
      options.system.trace('data.prepared');
      published = makesNew(report);
    },
    start: (signal) =>
      holding(signal, async (held) => {
        const running = await bringUp(held, seen ?? (await look(held.local, options.backups, signal)), options, { note, release }, signal);
        published = false;
        return running;
      }),
    recover: async (request, signal) => {
      if (request.dryRun) return withoutTouching(options, request, signal); // Whoever holds the lock keeps it: a server may be running under it.
      last = undefined;
      const begunMs = options.system.clock.monotonicMs();
      const { report, inspection } = await mendAll(request, signal);
      published = makesNew(report);
      const touched = touchedFiles(inspection.report.findings); // No server follows that would tell, or build an index.
      if (touched.length > 0) note(unknownReport(options, touched, begunMs));
      await release();
      return last ?? report;
    },
  };
}

const makesNew = ({ decision, reason }: RecoveryReport): boolean =>
  decision === 'initialize' || decision === 'reinitialize' || (reason !== null && fromDump.has(reason));

interface Mended {
  readonly report: RecoveryReport;
  readonly inspection: Inspection;
}

/** Inspects, plans and carries the plan out. */
async function mend(
  { local, lock, spoiled, firstLook }: Hold,
  { config, backups }: PostgresqlOptions,
  request: RecoverRequest,
  signal: AbortSignal,
): Promise<Mended> {
  const begunMs = local.system.clock.monotonicMs();
  const inspection = firstLook() ?? (await look(local, backups, signal)); // Walking twenty thousand files once is enough.
  const input = {
    inspection,
    reported: [],
    tried: new Set<string>(),
    answering: false,
    wish: request.strategy,
    recovery: config.recovery,
    backups,
  };
  const untold = request.dryRun ? undefined : await readUntold(local.volume); // Of an earlier run: this one may write its own.
  const plan = request.dryRun ? await makePlan(local, input, signal) : undefined;
  const ended = plan
    ? { plan, inspection, report: reportOf(local, plan, undefined, begunMs) }
    : await ascend(local, input, { lock, spoiled }, signal);
  const goesOn = ended.plan.decision === 'start' && (await present(local.volume.initializing));
  const report = goesOn ? goingOn(ended.report, await replacedBefore(local.volume, local.system)) : ended.report;
  return { ...ended, report: joinReports(untold, report) };
}

const look = (local: Local, backups: PostgresqlOptions['backups'], signal: AbortSignal): Promise<Inspection> =>
  inspect(local.volume.dataDir, { stateDir: local.stateDir, deep: false, ...sources(backups, local) }, local.system, signal);

/** A plan for eyes only: no lock, no directory made, nothing finished that an earlier run began. */
async function withoutTouching(
  { config, system, backups, passwordIsGiven }: PostgresqlOptions,
  request: RecoverRequest,
  signal: AbortSignal,
): Promise<RecoveryReport> {
  const { postgresql: settings, stateDir, logDir, backupDir } = config;
  const begunMs = system.clock.monotonicMs();
  const inspection = await inspect(settings.dataDir, { stateDir, deep: false, ...sources(backups, { backupDir, system }) }, system, signal);
  const owner = await serverOwner(settings, system);
  const binaries = await findBinaries(
    { major: inspection.report.major ?? settings.version, directory: settings.binDir },
    system,
    signal,
  ).catch((cause: unknown) => {
    if (isAbort(cause)) throw cause;
    return { directory: '', major: inspection.report.major ?? 0, version: 'none', origin: 'system' as const };
  });
  const local = {
    settings,
    passwordIsGiven,
    volume: volumeOf(settings.dataDir),
    stateDir,
    backupDir,
    logFile: join(logDir, 'postgresql.log'),
    owner,
    binaries,
    system,
  };
  const plan = await makePlan(
    local,
    { inspection, reported: [], tried: new Set(), answering: false, wish: request.strategy, recovery: config.recovery, backups },
    signal,
  );
  const report = reportOf(local, plan, undefined, begunMs);
  if (!(await present(local.volume.journal))) return report;
  return { ...report, steps: [{ step: 'finish-replacement', ...incident('replacement-unfinished'), done: false }, ...report.steps] };
}

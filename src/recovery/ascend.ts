import { rm } from 'node:fs/promises';
import { sources } from '../backups/find-baseline.ts';
import { isOf } from '../inspection/findings.ts';
import { type Inspection, inspect } from '../inspection/inspect.ts';
import type { Local } from '../instance/local.ts';
import { DbkitError, type FailureCode } from '../kernel/errors.ts';
import type { HeldLock } from '../kernel/machine.ts';
import { carryOut, type Outcome } from './carry-out.ts';
import { joinReports, reportOf } from './describe.ts';
import { hopeless } from './last-sources.ts';
import { findingKey, makePlan, type Plan, type PlanInput } from './plan.ts';
import { ofReplaced } from './remember.ts';
import type { RecoveryReport } from './report.ts';

/** The plan, as it was carried out in the end, and what was seen last. */
export interface Ascended {
  readonly report: RecoveryReport;
  readonly plan: Plan;
  readonly inspection: Inspection;
}

/** A rung that gave way: by the backup that cannot be used, or by the repairs that failed. */
interface Progress {
  readonly spoiled: Set<string>;
  readonly tried: Set<string>;
}

/** The state of the climb. */
export interface Ascent {
  readonly lock: HeldLock;
  /** Labels of backups that turned out to be damaged; added to, so that the same boot does not try them again. */
  readonly spoiled: Set<string>;
  /** Losses that were planned already. */
  readonly first?: Plan;
}

const STEPS_MAX = 20; // Each one takes a backup or a finding out of the plan: a limit for the day this is wrong.

/**
 * Plans and carries out, rung after rung: a backup that turns out to be damaged is left out and the next older one decides, a repair that fails
 * counts as tried, and neither ends the boot. Rejects with what the last rung says.
 */
export async function ascend(local: Local, input: PlanInput, { lock, spoiled, first }: Ascent, signal: AbortSignal): Promise<Ascended> {
  const begunMs = local.system.clock.monotonicMs();
  const state: Progress = { spoiled, tried: new Set(input.tried) };
  let inspection = input.inspection;
  let report: RecoveryReport | undefined;
  for (let step = 1; step <= STEPS_MAX; step += 1) {
    const plan = (step === 1 && first) || (await makePlan(local, { ...input, ...state, inspection }, signal));
    const outcome = await carryOut(local, plan, lock, signal).catch(unlessBackupsFault(local, plan, state));
    if (outcome === undefined) continue;
    report = joinReports(report, reportOf(local, plan, outcome, begunMs));
    if (outcome.failed.length === 0) return { report, plan, inspection: isReplacing(plan) ? ofReplaced(inspection) : inspection };
    for (const { finding } of outcome.failed) state.tried.add(findingKey(finding));
    const options = { stateDir: local.stateDir, deep: false, ...sources(input.backups, local) };
    inspection = stillKnown(inspection, await inspect(local.volume.dataDir, options, local.system, signal), outcome);
  }
  throw new DbkitError('service.failed', 'every remedy was tried', { hint: '`dbkit inspect --deep` shows what is damaged' });
}

/** A repair in single-user mode moves the checkpoint, and the inventory then tells no more of all other files: what it has told is not forgotten. */
function stillKnown(earlier: Inspection, now: Inspection, { done }: Outcome): Inspection {
  const named = new Set(now.report.findings.map(({ path }) => path));
  const mended = new Set(done.flatMap(({ finding, remedy }) => (remedy.then === 'repair' ? [finding.path] : [])));
  const rest = earlier.report.findings.filter(
    ({ code, path }) => isOf(code, 'relation', 'page', 'index') && !named.has(path) && !mended.has(path),
  );
  const report = { ...now.report, findings: [...now.report.findings, ...rest] };
  return { ...now, report, unheard: now.unheard ?? earlier.unheard, isUnproven: now.isUnproven || earlier.isUnproven };
}

export const isReplacing = ({ decision }: Plan): boolean => decision === 'restore' || decision === 'reinitialize';

/** Failures that say that this backup cannot be restored, and another may. */
const backupsFault: ReadonlySet<FailureCode> = new Set<FailureCode>(['data.corrupt', 'backup.missing']);

const unlessBackupsFault =
  ({ volume, system }: Local, { decision, backup, partial, dump }: Plan, { spoiled }: Progress) =>
  async (cause: unknown): Promise<Outcome | undefined> => {
    const used = backup ?? partial ?? dump;
    if (decision !== 'restore' || !used || !(cause instanceof DbkitError) || !backupsFault.has(cause.code)) throw cause;
    const { label } = used.backup;
    system.log.warn('backup.unusable', `${cause.message}; it is not used in this start, and recovery goes on without it`, { label });
    spoiled.add(backup === undefined && partial !== undefined ? hopeless(label) : label);
    await rm(volume.incoming, { recursive: true, force: true });
    return undefined;
  };

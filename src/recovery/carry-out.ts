import { join } from 'node:path';
import type { DamagedFile } from '../backups/backup.ts';
import type { Finding } from '../inspection/findings.ts';
import { toKnownDamage } from '../inspection/known-damage.ts';
import { discardUnfinished, stageNewCluster } from '../instance/initialize/initialize.ts';
import { markInitializing, replacedBefore } from '../instance/initialize/marker.ts';
import type { Local } from '../instance/local.ts';
import { clusterEntries, present } from '../instance/volume.ts';
import { DbkitError, errnoOf, type FailureCode, toFailure, wordsOf } from '../kernel/errors.ts';
import type { HeldLock } from '../kernel/machine.ts';
import type { Refusal } from '../kernel/reasons.ts';
import { forgetMarks } from '../wal/mark.ts';
import { carryConfiguration } from './carry-configuration.ts';
import { closeToOthers } from './close-to-others.ts';
import { damageThatGoes } from './damage-aside.ts';
import { reportOf } from './describe.ts';
import { comesAsFar, isShutDown } from './end-of-data.ts';
import type { Loss } from './losses.ts';
import type { Plan, PlannedStep } from './plan.ts';
import { damageLoss, damageOf, dumpLoses, newClusterLoses, preparedLoss, replicationOf, restoreLoses, walOf } from './plan-losses.ts';
import { newQuarantine } from './quarantine.ts';
import { raiseSettings } from './raise-settings.ts';
import { remedies } from './remedies.ts';
import type { Mend } from './remedy.ts';
import { rememberDamage, rememberWhatPagesHide } from './remember.ts';
import { repairs } from './repairs.ts';
import { mountsInTheWay, replaceContents } from './replace.ts';
import { requireEvidence } from './reread.ts';
import { asideDirectory } from './set-aside.ts';
import { stepTeller } from './tell-steps.ts';
import { unloggedLosses, unloggedTables } from './unlogged.ts';
import { noteDone, noteFleeting, noteUntold } from './untold.ts';

const DAMAGE_SHOWN = 3;

/** The result of a plan: where the old bytes are, and what is lost. */
export interface Outcome {
  readonly done: readonly PlannedStep[];
  readonly quarantine: string | null;
  readonly losses: readonly Loss[];
  /** The moment of the report that was noted before it was done. */
  readonly notedAt?: string | undefined;
  /** Repairs that did not succeed: each stands for itself, and what is left to do is planned anew. */
  readonly failed: readonly PlannedStep[];
}

/**
 * Carries out what was decided, and remembers what it leaves damaged. The server is down and the volume's lock is held. Rejects with the
 * refusal's own code and words.
 */
export async function carryOut(local: Local, plan: Plan, lock: HeldLock, signal: AbortSignal): Promise<Outcome> {
  await requireEvidence(local, plan, signal);
  await rememberWhatPagesHide(local, plan);
  const notedAt = await noteFleeting(local, plan);
  const outcome = await act(local, plan, lock, signal);
  await rememberDamage(local, plan);
  return { notedAt, ...outcome };
}

async function act(local: Local, plan: Plan, lock: HeldLock, signal: AbortSignal): Promise<Outcome> {
  switch (plan.decision) {
    case 'refuse':
      throw refusal(plan);
    case 'start':
      return { done: plan.steps, quarantine: null, losses: damageOf(plan), failed: [] };
    case 'repair':
      return repairAll(local, plan, signal);
    case 'initialize':
    case 'reinitialize':
      return initialize(local, plan, lock, signal);
    case 'restore':
      return plan.backup || plan.partial ? restore(local, plan, signal) : initialize(local, plan, lock, signal);
  }
}

async function repairAll(local: Local, plan: Plan, signal: AbortSignal): Promise<Outcome> {
  const { ledOn, backedUp, inspection } = plan;
  const bench = { ...inspection, local, asideDir: asideDirectory(local), ledOn, backedUp };
  const done = plan.steps.filter(({ remedy }) => remedy.then === 'start' || remedy.then === 'serve');
  const failed: PlannedStep[] = [];
  const told = stepTeller(local.system);
  local.system.reached('repair.begun');
  for (const step of inOrder(plan.steps)) {
    signal.throwIfAborted();
    const { finding, remedy } = step;
    if (failed.some((one) => sameDatabase(one, step))) {
      failed.push(step); // Where one index of a database cannot be built for want of its catalogs, none can.
      continue;
    }
    told.begins(step);
    const problem = await repairs[remedy.mend](bench, finding, signal).then(() => undefined, unlessItStandsAlone(remedy.mend, signal));
    if (problem === undefined) done.push(step);
    else {
      failed.push(step);
      local.system.log.warn('repair.failed', `${finding.path} could not be mended; everything else goes on`, {
        path: finding.path,
        why: problem,
      });
    }
  }
  told.ends();
  if (plan.wish === 'repair' && done.some(({ remedy }) => remedy.loses === 'wal-behind-a-gap'))
    await forgetMarks(local.stateDir, local.volume.dataDir);
  local.system.reached('repair.done');
  const quarantine = (await present(bench.asideDir)) ? bench.asideDir : null;
  const unprepared: Loss[] = [];
  for (const { finding, remedy } of done)
    if (remedy.id === 'prepared-transaction-damaged' && !(await present(join(local.volume.dataDir, finding.path))))
      unprepared.push(preparedLoss(finding, quarantine));
  return {
    done,
    quarantine,
    failed,
    losses: [...damageOf(plan), ...unprepared, ...replicationOf(plan, quarantine), ...walOf({ ...plan, steps: done })],
  };
}

/** Repairs whose failure says something of one file or one database only. */
const standsAlone: ReadonlySet<Mend> = new Set<Mend>([
  'bring-back-kept-file',
  'bring-back-from-backup',
  'make-empty-file',
  'set-aside-unlogged',
  'set-aside-file',
  'set-aside-slot',
  'rebuild-catalog-index',
  'relink-tablespace',
  'bring-wal-from-archive',
]);

/** These say nothing of the file: a repair that they stopped was not tried, and nothing worse is done for it. */
const stopsAll: ReadonlySet<FailureCode> = new Set<FailureCode>(['volume.full', 'volume.read-only', 'machine.exhausted', 'lock.held']);

/** Resolves to what went wrong, in words; whatever stops every repair is thrown. */
const unlessItStandsAlone =
  (mend: Mend, signal: AbortSignal) =>
  (cause: unknown): string => {
    signal.throwIfAborted();
    const isFailure = cause instanceof DbkitError || errnoOf(cause) !== undefined;
    if (!standsAlone.has(mend) || !isFailure || stopsAll.has(toFailure(cause).code)) throw cause;
    return wordsOf(cause);
  };

function sameDatabase(a: PlannedStep, b: PlannedStep): boolean {
  const of = ({ finding, remedy }: PlannedStep): string | undefined =>
    remedy.then === 'repair' && remedy.mend === 'rebuild-catalog-index' ? /^base\/\d+(?=\/)/.exec(finding.path)?.[0] : undefined;
  return of(a) !== undefined && of(a) === of(b);
}

/** In the order of the table: permissions first, then files, then what needs a server that can start. */
function inOrder(steps: readonly PlannedStep[]): Repairing[] {
  const rank = new Map(remedies.map(({ id }, index) => [id, index]));
  return steps.filter(isRepair).sort((a, b) => rank.get(a.remedy.id)! - rank.get(b.remedy.id)!);
}

type Repairing = PlannedStep & { readonly remedy: { readonly then: 'repair' } };
const isRepair = (step: PlannedStep): step is Repairing => step.remedy.then === 'repair';

async function initialize(local: Local, plan: Plan, lock: HeldLock, signal: AbortSignal): Promise<Outcome> {
  const { volume, owner, system } = local;
  const { dump } = plan;
  await mountsInTheWay(volume.dataDir);
  await dump?.of.verify(dump.backup, signal); // Before anything goes: it must be whole, and the programs must be there.
  const before = await replacedBefore(volume, system);
  await stageNewCluster(local, { lock, runsScripts: dump === undefined }, signal);
  if (plan.inspection.report.state === 'unfinished') await discardUnfinished(local); // Only now that there is something to take its place.
  await closeToOthers(volume.dataDir);
  const quarantine = (await clusterEntries(volume.dataDir)).length > 0 ? await newQuarantine(local, kindOf(plan)) : null;
  const replaced = plan.decision === 'reinitialize' ? quarantine : dump ? (quarantine ?? before) : before;
  await markInitializing(volume, owner, { replaced, dump: dump?.backup.label }, system);
  const damage = await damageThatGoes(local, plan.inspection.report.systemIdentifier, plan.steps);
  await replaceContents(local, { quarantine, publishes: true, because: plan.rung.words, damage });
  system.reached('initialize.published');
  const losses = dump ? dumpLoses(plan, replaced) : newClusterLoses(replaced);
  return { done: plan.steps, quarantine: quarantine ?? replaced, losses, failed: [] };
}

/** Sound data that a person wanted replaced is filed like that of a restore, so that `backup undo` brings it back. */
const kindOf = ({ decision, steps }: Plan): 'corrupt' | 'replaced' =>
  decision === 'initialize' || steps.some(({ remedy }) => remedy.then === 'replace' || remedy.then === 'serve') ? 'corrupt' : 'replaced';

async function restore(local: Local, plan: Plan, signal: AbortSignal): Promise<Outcome> {
  const { volume, system } = local;
  const source = (plan.backup ?? plan.partial)!; // The ladder restores only when there is one.
  const { backup, of } = source;
  const isTolerant = plan.backup === undefined;
  const walFrom = join(volume.dataDir, 'pg_wal');
  await mountsInTheWay(volume.dataDir);
  system.log.info('restore.begun', `restoring ${backup.label} beside the data`, { label: backup.label });
  const gatherIn = join(volume.temporary, 'wal');
  const {
    reached,
    complete,
    damaged = [],
  } = await of.stage(
    backup,
    { directory: volume.incoming, walFrom: (await present(walFrom)) ? walFrom : undefined, gatherIn, isTolerant },
    signal,
  );
  if (
    plan.rung.id === 'restore-loses-nothing' &&
    !complete &&
    !(await comesAsFar(reached, { dataDir: volume.dataDir, staged: volume.incoming }, signal))
  )
    throw new DbkitError('backup.missing', `the WAL that is there does not lead from ${backup.label} to the end after all`);
  const reverted = await carryConfiguration(local, volume.incoming);
  await raiseSettings(local, volume.incoming);
  system.reached('restore.staged');
  await closeToOthers(volume.dataDir);
  const unlogged = isShutDown(volume.dataDir) ? unloggedTables(volume.dataDir, signal) : []; // Now: a server may have run since the plan's inspection.
  const quarantine = (await clusterEntries(volume.dataDir)).length > 0 ? await newQuarantine(local, kindOf(plan)) : null;
  const damage = await damageThatGoes(local, plan.inspection.report.systemIdentifier, plan.steps);
  const since = system.clock.now().toISOString();
  const brought = damaged.map((file) => toKnownDamage(damagedIn(backup.label, file), since));
  const brings = { systemIdentifier: backup.systemIdentifier, entries: [...(backup.knownDamage ?? []), ...brought] };
  const losses = [
    ...restoreLoses({ ...source, rollsForward: complete }, reached, quarantine),
    ...damaged.map((file) => ({ ...damageLoss(damagedIn(backup.label, file)), oldBytes: quarantine })),
    ...reverted,
    ...unloggedLosses(unlogged, quarantine),
  ];
  const outcome = { done: plan.steps, quarantine, losses, failed: [] };
  const note = await noteUntold(local, reportOf(local, plan, outcome, system.clock.monotonicMs()));
  await replaceContents(local, { quarantine, publishes: true, because: plan.rung.words, damage, brings });
  await noteDone(local, note);
  return { ...outcome, notedAt: note.at };
}

const damagedIn = (label: string, { path, isMissing }: DamagedFile): Finding => ({
  code: isMissing ? 'relation.missing' : 'relation.changed',
  path,
  evidence: isMissing ? `the backup ${label} has lost it` : `in the backup ${label} it is not as it was written`,
  severity: 'certain',
});

/** The failure that a refused finding is, or else the rung. */
function refusal({ steps, rung }: Plan): DbkitError {
  for (const { finding, remedy } of steps)
    if (remedy.then === 'refuse')
      return refused(remedy, `${finding.path === '.' ? 'the data directory' : finding.path}: ${finding.evidence}`);
  const damage = steps.filter(({ remedy }) => remedy.then === 'replace').map(({ finding }) => `${finding.path} (${finding.evidence})`);
  const evidence = damage.length > 0 ? `: ${damage.slice(0, DAMAGE_SHOWN).join(', ')}` : '';
  if (rung.then !== 'refuse') throw new Error(`rung ${rung.id} does not refuse`);
  return refused(rung, `${rung.words}${evidence}`);
}

const refused = ({ refusal: { code, hint } }: { readonly refusal: Refusal }, message: string): DbkitError =>
  new DbkitError(code, message, { hint });

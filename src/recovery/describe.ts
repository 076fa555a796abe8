import type { Finding } from '../inspection/findings.ts';
import type { Local } from '../instance/local.ts';
import type { Outcome } from './carry-out.ts';
import { incident } from './incidents.ts';
import { nothing, told } from './losses.ts';
import { findingKey, type Plan } from './plan.ts';
import { damageLoss, newClusterLoses, plannedLosses } from './plan-losses.ts';
import type { RecoveryReport, RecoveryTarget } from './report.ts';

/** The words for a person about a plan (no outcome yet) or about what was done. */
export function reportOf({ system }: Local, plan: Plan, outcome: Outcome | undefined, begunMs: number): RecoveryReport {
  const done = new Set(outcome?.done ?? []);
  return {
    at: outcome?.notedAt ?? system.clock.now().toISOString(),
    findings: plan.findings,
    decision: plan.decision,
    reason: plan.rung.id,
    because: plan.rung.words,
    steps: plan.steps.map((step) => ({
      step: `${step.remedy.then === 'repair' ? step.remedy.mend : step.remedy.then} ${step.finding.path}`,
      reason: step.remedy.id,
      because: step.remedy.words,
      done: done.has(step),
    })),
    quarantine: outcome?.quarantine ?? null,
    ...told(outcome?.losses ?? plannedLosses(plan)),
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
    target: targetOf(plan),
  };
}

const targetOf = ({ inspection: { report } }: Plan): RecoveryTarget => ({
  dataDir: report.dataDir,
  sizeBytes: report.sizeBytes,
  systemIdentifier: report.systemIdentifier,
});

/** Damage that the server names while it serves, and nothing is done about: it is told, and every other row is there. */
export function servedReport({ system }: Local, findings: readonly Finding[], begunMs: number): RecoveryReport {
  const why = incident('damage-is-named');
  return {
    at: system.clock.now().toISOString(),
    findings,
    decision: 'start',
    ...why,
    steps: findings.map(({ path }) => ({ step: `serve ${path}`, ...why, done: true })),
    quarantine: null,
    ...told(findings.map(damageLoss)),
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  };
}

/** Indexes that were built anew on the running server. */
export function rebuiltReport({ system }: Local, rebuilt: readonly Finding[], begunMs: number): RecoveryReport {
  const why = incident('index-rebuilt');
  return {
    at: system.clock.now().toISOString(),
    findings: rebuilt,
    decision: 'repair',
    ...why,
    steps: rebuilt.map(({ path }) => ({ step: `rebuild-index ${path}`, ...why, done: true })),
    quarantine: null,
    ...told(nothing),
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  };
}

const weight: Record<RecoveryReport['decision'], number> = { start: 0, refuse: 0, repair: 1, initialize: 2, restore: 3, reinitialize: 4 };

/** One boot, one report: what weighs most decides, and nothing that was found, done or lost is left out. */
export function joinReports(earlier: RecoveryReport | undefined, later: RecoveryReport): RecoveryReport {
  if (!earlier) return later;
  const known = new Set(earlier.findings.map(findingKey));
  const heavier = weight[later.decision] > weight[earlier.decision] ? later : earlier;
  return {
    ...heavier,
    at: earlier.at, // So it stays one report, however much is added to it.
    findings: [...earlier.findings, ...later.findings.filter((finding) => !known.has(findingKey(finding)))],
    steps: [...earlier.steps, ...later.steps],
    quarantine: heavier.quarantine ?? later.quarantine ?? earlier.quarantine,
    ...told([...earlier.losses, ...later.losses]),
    durationMs: earlier.durationMs + later.durationMs,
  };
}

/** A new cluster whose first start was cut off: nothing is done again, and where its predecessor went is still to be told. */
export const goingOn = (report: RecoveryReport, replaced: string | null): RecoveryReport => ({
  ...report,
  decision: 'initialize',
  ...incident('first-start-goes-on'),
  quarantine: replaced,
  ...told(newClusterLoses(replaced)),
});

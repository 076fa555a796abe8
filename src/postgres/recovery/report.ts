import type { RecoveryReport } from '../../core/contracts.ts';
import type { Local } from '../local.ts';
import type { Outcome } from './carry-out.ts';
import type { Plan } from './plan.ts';

/** What a person is told about a plan (no outcome yet) or about what was done. */
export function reportOf({ system }: Local, plan: Plan, outcome: Outcome | undefined, begunMs: number): RecoveryReport {
  const done = new Set(outcome?.done ?? []);
  return {
    at: system.clock.now().toISOString(),
    findings: plan.findings,
    decision: plan.decision,
    because: plan.because,
    steps: plan.steps.map((step) => ({ step: `${step.answer} ${step.finding.path}`, because: step.because, done: done.has(step) })),
    quarantine: outcome?.quarantine ?? null,
    lost:
      outcome?.lost ??
      (plan.decision === 'reinitialize' ? 'all rows would be out of reach; the old data stays whole in the quarantine' : 'nothing'),
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  };
}

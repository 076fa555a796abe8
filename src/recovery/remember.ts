import { outlivesPages } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { dropInventory } from '../inspection/inventory.ts';
import { damageMemory, toKnownDamage } from '../inspection/known-damage.ts';
import type { Local } from '../instance/local.ts';
import type { Plan } from './plan.ts';

/** A repair may be cut off, or be followed by a start of its own, which would see nothing of it any more. */
export async function rememberWhatPagesHide(
  { volume: { dataDir }, stateDir, system }: Local,
  { decision, findings, inspection }: Plan,
): Promise<void> {
  const { systemIdentifier } = inspection.report;
  const hidden = findings.filter(outlivesPages);
  if (hidden.length === 0 || systemIdentifier === null || (decision !== 'start' && decision !== 'repair')) return;
  const since = system.clock.now().toISOString();
  const entries = hidden.map((finding) => toKnownDamage({ ...finding, severity: 'suspect' }, since));
  await damageMemory({ dataDir, stateDir }, system).remember(systemIdentifier, entries);
}

/** Of data that was replaced only what its backup lacked is known; of other data, what is served as it is stays damaged. */
export async function rememberDamage({ volume: { dataDir }, stateDir, system }: Local, plan: Plan): Promise<void> {
  const isReplaced = plan.decision === 'restore' || plan.decision === 'reinitialize';
  if (isReplaced) await dropInventory(system, stateDir);
  const { systemIdentifier } = plan.inspection.report;
  if (systemIdentifier === null || plan.decision === 'restore') return; // Of a restored backup the replacement itself remembers what it lacks.
  const memory = damageMemory({ dataDir, stateDir }, system);
  const since = system.clock.now().toISOString();
  const served = plan.steps.filter(({ remedy }) => remedy.loses === 'object').map(({ finding }) => toKnownDamage(finding, since));
  if (served.length > 0) await memory.remember(systemIdentifier, served);
}

/** Of data that was replaced, it says nothing of what took its place. */
export const ofReplaced = (inspection: Inspection): Inspection => ({
  ...inspection,
  report: { ...inspection.report, findings: inspection.report.findings.filter((finding) => !outlivesPages(finding)) },
});

import type { KnownDamage } from '../inspection/known-damage.ts';
import { bytes } from '../kernel/units.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

/** A plan, or what was done. */
export function recoverView(report: RecoveryReport, style: Style, plan: boolean): string {
  if (report.serving) return 'nothing to do: it runs';
  const { target } = report;
  const where = target ? [`data: ${target.dataDir}, ${bytes(target.sizeBytes)}, cluster ${target.systemIdentifier ?? 'not known'}`] : [];
  const parts = [`${plan ? 'would' : 'did'} ${style.strong(report.decision)}: ${report.because}`, ...evidence(report, style)];
  parts.push([...where, `lost: ${report.lost}`, ...(report.quarantine ? [`old bytes: ${report.quarantine}`] : [])].join('\n'));
  return parts.join('\n\n');
}

/** Damage that a person accepts, or is asked to. */
export const acceptedView = (damage: readonly KnownDamage[]): string =>
  damage.length === 0
    ? 'no damage is known that is not mended'
    : table(damage.map(({ path, since, evidence: seen }) => [path, since, seen]));

/** The findings and the actions, where there was something. */
export const evidence = ({ findings, steps }: RecoveryReport, style: Style): string[] => [
  ...(findings.length > 0 ? [table(findings.map(({ severity, code, path, evidence: seen }) => [severity, code, path, seen]))] : []),
  ...(steps.length > 0 ? [table(steps.map(({ step, because, done }) => [done ? style.good('done') : '-', step, because]))] : []),
];

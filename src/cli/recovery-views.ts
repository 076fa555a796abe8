import type { KnownDamage } from '../inspection/known-damage.ts';
import { bytes, counted } from '../kernel/units.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { OpenDamage } from '../recovery/way-back.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

/** A plan, or what was done. */
export function recoverView(report: RecoveryReport, style: Style, plan: boolean): string {
  if (report.serving) return 'nothing to do: it runs';
  const { target } = report;
  const where = target ? [`data: ${target.dataDir}, ${bytes(target.sizeBytes)}, cluster ${target.systemIdentifier ?? 'not known'}`] : [];
  const isLeft = ({ step, done }: RecoveryReport['steps'][number]): boolean => !done || /^(start|serve) /.test(step); // To the server, when it starts.
  const isNothing = !plan && report.decision === 'start' && report.steps.every(isLeft);
  const what = isNothing ? 'nothing was changed' : `${plan ? 'would' : 'did'} ${style.strong(report.decision)}`;
  const parts = [`${what}: ${report.because}`, ...evidence(report, style)];
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

const DAMAGE_SHOWN = 5;

/** Damage that is neither mended nor accepted, with what to type. */
export function damageView(damage: readonly OpenDamage[], style: Style): string[] {
  const shown = damage
    .slice(0, DAMAGE_SHOWN)
    .map(({ evidence, wayBack }) => `${style.bad('damaged and not mended')}: ${evidence}\n${wayBack}`);
  const more = damage.length - shown.length;
  return more > 0 ? [...shown, `${counted(more, 'damaged file')} more: \`dbkit health --json\` names them`] : shown;
}

import { type Finding, findingCodes } from '../inspection/findings.ts';
import type { KnownDamage } from '../inspection/known-damage.ts';
import { fewOfEach } from '../kernel/few-of-each.ts';
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
    : table(
        fewOfEach(damage, ({ code }) => code).map((shown) =>
          'item' in shown
            ? [shown.item.path, shown.item.since, shown.item.evidence]
            : [`${shown.more.length} more`, shown.more[0].since, findingCodes[shown.more[0].code]],
        ),
      );

/** The findings and the actions, where there was something. */
export const evidence = ({ findings, steps }: RecoveryReport, style: Style): string[] => [
  ...(findings.length > 0 ? [table(findingRows(findings, ({ severity }) => severity))] : []),
  ...(steps.length > 0 ? [table(stepRows(steps).map(({ step, because, done }) => [done ? style.good('done') : '-', step, because]))] : []),
];

/** Of many of one kind the first few, and how many more there are. */
export const findingRows = (findings: readonly Finding[], look: (finding: Finding) => string): string[][] =>
  fewOfEach(findings, ({ severity, code }) => `${severity} ${code}`).map((shown) => {
    if ('item' in shown) return [look(shown.item), shown.item.code, shown.item.path, shown.item.evidence];
    const [first] = shown.more;
    return [look(first), first.code, `${shown.more.length} more`, `${findingCodes[first.code]}; \`--json\` lists them`];
  });

const kindOf = ({ step, reason, done }: Step): string => `${step.split(' ')[0]} ${reason} ${done}`;

/** The same of steps: `serve 4490 more`. */
export const stepRows = (steps: readonly Step[]): readonly Step[] =>
  fewOfEach(steps, kindOf).map((shown) =>
    'item' in shown ? shown.item : { ...shown.more[0], step: `${shown.more[0].step.split(' ')[0]} ${shown.more.length} more` },
  );

type Step = RecoveryReport['steps'][number];

const DAMAGE_SHOWN = 5;

/** Damage that is neither mended nor accepted, with what to type. */
export function damageView(damage: readonly OpenDamage[], style: Style): string[] {
  const shown = damage
    .slice(0, DAMAGE_SHOWN)
    .map(({ evidence, wayBack }) => `${style.bad('damaged and not mended')}: ${evidence}\n${wayBack}`);
  const more = damage.length - shown.length;
  return more > 0 ? [...shown, `${counted(more, 'damaged file')} more: \`dbkit health --json\` names them`] : shown;
}

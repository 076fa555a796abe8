import type { Judged } from '../config/tiers.ts';
import { duration, moment } from '../kernel/units.ts';
import type { IncidentReport } from '../recovery/incident-report.ts';
import { askers } from './history.ts';
import { findingRows, stepRows } from './recovery-views.ts';

/** Markdown, to be pasted into a ticket. Pure. */
export function incidentView({ number, startedAt, endedAt, tier, rto, rpo, recovery }: IncidentReport): string {
  const { decision, because, trigger, lost, quarantine, findings, steps, target } = recovery;
  const rows = [
    ['data', target ? `\`${target.dataDir}\`, cluster ${target.systemIdentifier ?? 'not known'}` : 'not recorded'],
    ['began', moment(startedAt)],
    ['answered again', endedAt === null ? 'not yet' : moment(endedAt)],
    ['asked by', trigger ? askers[trigger] : 'not recorded'],
    ['done', decision],
    ['because', because],
    ['tier', tier ?? 'none is set (`tier` in dbkit.yaml)'],
    ['RTO', judgedWords(rto, '**missed**')],
    ['RPO', judgedWords(rpo, '**missed**')],
    ['lost', lost],
    ['old bytes', quarantine === null ? 'none were replaced' : `\`${quarantine}\``],
  ];
  return [
    `# Recovery ${number}: ${decision}`,
    ['| | |', '|---|---|', ...rows.map(([name, value]) => `| ${name} | ${cell(value!)} |`)].join('\n'),
    `## What was found\n\n${
      findingRows(findings, ({ severity }) => severity)
        .map(([severity, code, path, evidence]) => `- ${severity}: \`${code}\` in \`${path}\`: ${evidence}`)
        .join('\n') || 'nothing'
    }`,
    `## What was done\n\n${
      stepRows(steps)
        .map(({ step, because: why, done }) => `- [${done ? 'x' : ' '}] ${step}: ${why}`)
        .join('\n') || 'nothing'
    }`,
  ].join('\n\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

export function judgedWords({ seconds, targetSeconds, met }: Judged, missed = 'missed'): string {
  const figure = seconds === null ? 'not known' : duration(seconds);
  if (targetSeconds === null) return figure;
  return `${figure}, allowed are ${duration(targetSeconds)}: ${met === null ? 'not judged' : met ? 'met' : missed}`;
}

import type { Finding } from '../inspection/findings.ts';
import type { Local } from '../instance/local.ts';
import { incident } from './incidents.ts';
import { told } from './losses.ts';
import type { RecoveryReport } from './report.ts';

const NAMED = 3;

/** By finding: the incident, and the reason why nobody knows. */
const kinds = {
  'page.unknown': { reason: 'pages-unknown', unknown: 'zero-pages' },
  'relation.touched': { reason: 'files-touched', unknown: 'touched' },
} as const;

/** The pages could not be looked at after a crash, for a reason that says nothing about the data. */
export const unprovenReport = ({ system }: Pick<Local, 'system'>, why: string, begunMs: number): RecoveryReport => ({
  at: system.clock.now().toISOString(),
  findings: [],
  decision: 'start',
  ...incident('pages-unproven', { why }),
  steps: [],
  quarantine: null,
  ...told([{ kind: 'unknown', reason: 'unproven', oldBytes: null }]),
  durationMs: Math.round(system.clock.monotonicMs() - begunMs),
});

/** Pages of which nobody can tell what should be there: the server runs, and that is told, with the relations to look at. */
export function unknownReport({ system }: Pick<Local, 'system'>, findings: readonly Finding[], begunMs: number): RecoveryReport {
  const found = (['page.unknown', 'relation.touched'] as const).filter((code) => findings.some((finding) => finding.code === code));
  const names = [...new Set(findings.map(({ relation, path }) => (relation ? `${relation.name} in ${relation.database}` : path)))];
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return {
    at: system.clock.now().toISOString(),
    findings,
    decision: 'start',
    ...incident(kinds[found[0]!].reason, { relations: `${names.slice(0, NAMED).join(', ')}${more}` }),
    steps: [],
    quarantine: null,
    ...told(found.map((code) => ({ kind: 'unknown', reason: kinds[code].unknown, oldBytes: null }))),
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  };
}

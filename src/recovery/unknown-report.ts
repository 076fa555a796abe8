import type { Finding } from '../inspection/findings.ts';
import type { Local } from '../instance/local.ts';
import { incident } from './incidents.ts';
import { told } from './losses.ts';
import type { RecoveryReport } from './report.ts';

const NAMED = 3;

/** Pages of which nobody can tell if something was there: the server runs, and that is told, with the relations to look at. */
export function unknownReport({ system }: Local, findings: readonly Finding[], begunMs: number): RecoveryReport {
  const names = [...new Set(findings.map(({ relation, path }) => (relation ? `${relation.name} in ${relation.database}` : path)))];
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return {
    at: system.clock.now().toISOString(),
    findings,
    decision: 'start',
    ...incident('pages-unknown', { relations: `${names.slice(0, NAMED).join(', ')}${more}` }),
    steps: [],
    quarantine: null,
    ...told([{ kind: 'unknown', reason: 'zero-pages', oldBytes: null }]),
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  };
}

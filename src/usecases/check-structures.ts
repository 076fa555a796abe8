import type { App } from '../core/app.ts';
import { isAbort, wordsOf } from '../core/errors.ts';
import type { RecoveryReport } from '../core/recovery.ts';

const SHOWN = 3;

/**
 * After a recovery, where `recovery.amcheck` asks for it: the report with what pg_amcheck says of the running server as one more step. What it
 * complains about is told, and for a person to judge: the server serves. Never rejects but when it is cancelled.
 */
export async function withAmcheck(
  { config, instance, log }: Pick<App, 'config' | 'instance' | 'log'>,
  report: RecoveryReport,
  signal: AbortSignal,
): Promise<RecoveryReport> {
  if (!config.recovery.amcheck) return report;
  const noted = (because: string, done: boolean): RecoveryReport => ({
    ...report,
    steps: [...report.steps, { step: 'amcheck', because, done }],
  });
  try {
    const complaints = await instance.upkeep.amcheck(signal);
    if (complaints.length === 0) return noted('pg_amcheck finds every table and index consistent', true);
    const more = complaints.length > SHOWN ? `, and ${complaints.length - SHOWN} lines more` : '';
    const because = `pg_amcheck complains: ${complaints.slice(0, SHOWN).join(' ')}${more}`;
    log.warn('recovery.inconsistent', because, { lines: complaints.length });
    return noted(because, true);
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    const because = `pg_amcheck could not look: ${wordsOf(cause).split('\n')[0]}`;
    log.warn('recovery.unchecked', because);
    return noted(because, false);
  }
}

import type { Config } from '../config/config.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';
import { incident } from '../recovery/incidents.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import type { Upkeep } from './contract.ts';

const SHOWN = 3;

/**
 * After a recovery, where `recovery.amcheck` asks for it: the report with what pg_amcheck says of the running server as one more step. What it
 * complains about is told, and for a person to judge: the server serves. Never rejects but when it is cancelled.
 */
export async function withAmcheck(
  { config, upkeep, log }: { readonly config: Config; readonly upkeep: Upkeep; readonly log: Logger },
  report: RecoveryReport,
  signal: AbortSignal,
): Promise<RecoveryReport> {
  if (!config.recovery.amcheck) return report;
  const noted = (why: ReturnType<typeof incident>, done: boolean): RecoveryReport => ({
    ...report,
    steps: [...report.steps, { step: 'amcheck', ...why, done }],
  });
  try {
    const complaints = await upkeep.amcheck(signal);
    if (complaints.length === 0) return noted(incident('amcheck-consistent'), true);
    const more = complaints.length > SHOWN ? `, and ${complaints.length - SHOWN} lines more` : '';
    const why = incident('amcheck-complains', { complaints: `${complaints.slice(0, SHOWN).join(' ')}${more}` });
    log.warn('recovery.inconsistent', why.because, { lines: complaints.length });
    return noted(why, true);
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    const why = incident('amcheck-did-not-run', { why: wordsOf(cause).split('\n')[0] ?? '' });
    log.warn('recovery.unchecked', why.because);
    return noted(why, false);
  }
}

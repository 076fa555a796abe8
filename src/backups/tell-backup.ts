import type { Alert } from '../alerts/alert.ts';
import type { Alerter } from '../alerts/contract.ts';
import { DbkitError, type FailureCode, isAbort, wordsOf } from '../kernel/errors.ts';
import { bytes } from '../kernel/units.ts';
import type { BackupReport } from './take-backup.ts';

const TOPIC = 'backup';
/** No backup was begun: that is for whoever typed it. */
const notBegun: ReadonlySet<FailureCode> = new Set<FailureCode>(['usage.invalid', 'lock.held']);

/** Tells people that a backup is complete (`INFO`, and the end of a failure that was told), or that it failed (`ERROR`). Rejects as `work` does. */
export async function tellBackup<T extends BackupReport>(
  { alerts }: { readonly alerts: Pick<Alerter, 'channels' | 'tell'> },
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const report = await work();
    if (alerts.channels.length > 0) for (const alert of alertsOfBackup(report)) await alerts.tell(alert, signal);
    return report;
  } catch (cause) {
    if (alerts.channels.length > 0 && isTold(cause, signal)) await alerts.tell(alertOfFailure(cause), signal);
    throw cause;
  }
}

const isTold = (cause: unknown, signal: AbortSignal): boolean =>
  !signal.aborted && !isAbort(cause) && !(cause instanceof DbkitError && notBegun.has(cause.code));

/** Pure. None where nothing had changed since the last one. */
export function alertsOfBackup(report: BackupReport): Alert[] {
  const { backup } = report;
  if (backup === null) return [];
  const about = { topic: TOPIC, lines: [`${backup.label}, ${bytes(backup.sizeBytes)}.`], command: null };
  return [
    { ...about, severity: 'INFO', resolves: false, title: `the backup ${backup.label} is complete` },
    { ...about, severity: 'SUCCESS', resolves: true, title: 'backups succeed again' },
  ];
}

/** Pure. */
export const alertOfFailure = (cause: unknown): Alert => ({
  topic: TOPIC,
  severity: 'ERROR',
  resolves: false,
  title: 'a backup failed',
  lines: cause instanceof DbkitError ? [cause.message, cause.hint].flatMap((line) => (line ? [`${line}.`] : [])) : [`${wordsOf(cause)}.`],
  command: 'dbkit backup create',
});

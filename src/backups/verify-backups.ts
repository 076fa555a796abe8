import { DbkitError } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import type { Backup, Backups, VerifyOptions } from './backup.ts';
import { everyBackup, findBackup } from './find-backup.ts';

export interface VerifyInput extends VerifyOptions {
  readonly labels: readonly string[];
  readonly all: boolean;
}

export interface VerifyReport {
  readonly deep: boolean;
  readonly backups: readonly {
    readonly label: string;
    readonly ok: boolean;
    /** The defect, in words; null when all is right. */
    readonly problem: string | null;
    readonly sizeBytes: number;
    readonly durationMs: number;
  }[];
}

/**
 * Reads backups again: those named, or all; else those never verified, or the one whose turn it is, so that a schedule that names none goes
 * round. A damaged one does not end the run. Rejects with `backup.missing` when there is nothing to verify.
 */
export async function verifyBackups(
  app: { readonly backups: readonly Backups[]; readonly clock: Clock },
  { labels, all, ...how }: VerifyInput,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const chosen =
    labels.length > 0
      ? await Promise.all(labels.map((label) => findBackup(app, label, signal)))
      : dueOf(await everyBackup(app, signal), all);
  if (chosen.length === 0) throw new DbkitError('backup.missing', 'there is no backup yet', { hint: '`dbkit backup create` takes one' });
  const backups: VerifyReport['backups'][number][] = [];
  for (const { backup, of } of chosen) {
    const begunMs = app.clock.monotonicMs();
    const problem = await of.verify(backup, signal, how).then(() => null, problemOf);
    const durationMs = Math.round(app.clock.monotonicMs() - begunMs);
    backups.push({ label: backup.label, ok: problem === null, problem, sizeBytes: backup.sizeBytes, durationMs });
  }
  return { deep: how.deep, backups };
}

function problemOf(thrown: unknown): string {
  if (thrown instanceof DbkitError && thrown.code === 'data.corrupt') return thrown.message;
  throw thrown;
}

/** Pure. Oldest reading first; what was never read comes before everything else. */
export function dueOf<T extends { readonly backup: Pick<Backup, 'label' | 'verifiedAt'> }>(found: readonly T[], all: boolean): T[] {
  const readAt = ({ backup }: T): string => backup.verifiedAt ?? '';
  const inTurn = [...found].sort((a, b) => readAt(a).localeCompare(readAt(b)) || a.backup.label.localeCompare(b.backup.label));
  if (all) return inTurn;
  const unread = inTurn.filter((entry) => readAt(entry) === '');
  return unread.length > 0 ? unread : inTurn.slice(0, 1);
}

import { DbkitError } from '../kernel/errors.ts';
import type { BackupEngine, LoadReport, LoadRequest } from './backup.ts';
import { findBackup } from './find-backup.ts';

/**
 * Loads one database of a dump into the running server. `mayReplace` is asked unless it goes under a new name. Rejects with `recovery.refused`
 * when the answer is no, `usage.invalid` when the backup is no dump.
 */
export async function loadDump(
  app: { readonly engines: readonly BackupEngine[] },
  { label, ...request }: LoadRequest & { readonly label: string },
  mayReplace: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<LoadReport> {
  const { backup, engine } = await findBackup(app, label, signal);
  if (!engine.load)
    throw new DbkitError('usage.invalid', `${label} is no dump`, { hint: '`dbkit backup restore` brings a base backup back' });
  if (request.into === undefined && !(await mayReplace()))
    throw new DbkitError('recovery.refused', 'nothing was changed: the restore was declined', {
      hint: '--into NAME restores it beside what is there',
    });
  return engine.load(backup, request, signal);
}

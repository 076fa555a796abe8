import { DbkitError } from '../kernel/errors.ts';
import type { Dumps, FoundBackup, LoadReport, LoadRequest } from './backup.ts';

/**
 * Loads one database of a dump into the running server. `mayReplace` is asked unless it goes under a new name. Rejects with `recovery.refused`
 * when the answer is no.
 */
export async function loadDump(
  { backup, of }: FoundBackup<Dumps>,
  request: LoadRequest,
  mayReplace: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<LoadReport> {
  if (request.into === undefined && !(await mayReplace()))
    throw new DbkitError('recovery.refused', 'nothing was changed: the restore was declined', {
      hint: '--into NAME restores it beside what is there',
    });
  return of.load(backup, request, signal);
}

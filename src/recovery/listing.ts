import type { Backup, Backups } from '../backups/backup.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';

/** The backups as a plan sees them: a list that cannot be had is no empty one. */
export interface Listing {
  /** None where they cannot be listed, which is told once. Rejects only when it is cancelled. */
  of(kind: Backups): Promise<readonly Backup[]>;
  /** The failure that kept a list back, if one did: then nobody knows which backups there are. */
  readonly trouble: unknown;
}

export function createListing(log: Logger, signal: AbortSignal): Listing {
  let trouble: unknown;
  return {
    async of({ repository }) {
      try {
        return await repository.list(signal);
      } catch (cause) {
        signal.throwIfAborted();
        if (trouble === undefined) log.warn('repository.unreadable', `the backups cannot be listed: ${wordsOf(cause)}`);
        trouble ??= cause;
        return [];
      }
    },
    get trouble() {
      return trouble;
    },
  };
}

import type { Backup, Backups } from '../backups/backup.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';

/** The backups as a plan sees them: a list that cannot be had is no empty one. */
export interface Listing {
  /** Read once for the whole plan. None where they cannot be listed, which is told once. Rejects only when it is cancelled. */
  of(kind: Backups): Promise<readonly Backup[]>;
  /** The failure that kept a list back, if one did: then nobody knows which backups there are. */
  readonly trouble: unknown;
}

export function createListing(log: Logger, signal: AbortSignal): Listing {
  let trouble: unknown;
  const lists = new Map<Backups, Promise<readonly Backup[]>>();
  async function list({ repository }: Backups): Promise<readonly Backup[]> {
    try {
      return await repository.list(signal);
    } catch (cause) {
      signal.throwIfAborted();
      if (trouble === undefined) log.warn('repository.unreadable', `the backups cannot be listed: ${wordsOf(cause)}`);
      trouble ??= cause;
      return [];
    }
  }
  return {
    of(kind) {
      const known = lists.get(kind) ?? list(kind);
      lists.set(kind, known);
      return known;
    },
    get trouble() {
      return trouble;
    },
  };
}

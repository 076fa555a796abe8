import type { BackupWish } from '../boot/hold.ts';

/** Wishes for a base backup, from whoever keeps the data to whoever starts backups. Those that come while nobody waits are one. */
export interface BackupWishes {
  want(reason: BackupWish): void;
  /** Rejects with the signal's reason. */
  next(signal: AbortSignal): Promise<BackupWish>;
}

export function createBackupWishes(): BackupWishes {
  let open: BackupWish | undefined;
  let wake = (): void => undefined;
  return {
    want(reason) {
      open = reason === 'gap' ? reason : (open ?? reason);
      wake();
    },
    async next(signal) {
      while (open === undefined) {
        signal.throwIfAborted();
        await new Promise<void>((resolve, reject) => {
          const abort = (): void => reject(signal.reason);
          signal.addEventListener('abort', abort, { once: true });
          wake = () => {
            signal.removeEventListener('abort', abort);
            resolve();
          };
        });
      }
      const reason = open;
      open = undefined;
      return reason;
    },
  };
}

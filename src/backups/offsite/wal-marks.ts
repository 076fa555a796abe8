/** There: all WAL in the copy is encrypted to these recipients. */
export const walMark = (keys: string): string => `keys/wal-${keys || 'none'}`;

/** There: some WAL may have been written for these recipients. */
export const usedMark = (keys: string): string => `keys/used-${keys || 'none'}`;

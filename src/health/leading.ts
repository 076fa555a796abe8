/** The Patroni cluster as a health check of one member asks it; the noun `cluster` does. */
export interface Leading {
  /** The member that holds the lock, by its name in ha.members; null: none that answers says so. Two seconds at most. Never rejects but for the signal. */
  leader(signal: AbortSignal): Promise<string | null>;
}

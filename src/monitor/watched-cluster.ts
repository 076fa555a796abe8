import type { Alert } from '../alerts/alert.ts';

/** Changes since the last check. */
export interface ClusterNews {
  /** Sentences for the monitor's history. */
  readonly events: readonly string[];
  readonly alerts: readonly Alert[];
}

/** A Patroni cluster as the monitor sees it; the noun `cluster` asks it. */
export interface WatchedCluster {
  /** Four seconds at most. Never rejects but for the signal: a cluster that nobody can ask has no news. */
  news(signal: AbortSignal): Promise<ClusterNews>;
}

/** There is none: ha.members names nobody. */
export const noCluster: WatchedCluster = { news: async () => ({ events: [], alerts: [] }) };

import { lazily } from '../kernel/load-on-demand.ts';
import { noCluster, type WatchedCluster } from '../monitor/watched-cluster.ts';
import type { createClusterWatch } from './watch.ts';

/** The cluster of `ha.members`, whose code is loaded with the first check of a monitor; none where nobody is named. */
export const watchedCluster = (needs: Parameters<typeof createClusterWatch>[0]): WatchedCluster =>
  Object.keys(needs.config.ha.members).length === 0
    ? noCluster
    : lazily(['news'], async () => (await import('./watch.ts')).createClusterWatch(needs));

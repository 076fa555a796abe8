import { type Carrier, noCarrier } from '../backups/carrier.ts';
import { lazily } from '../kernel/load-on-demand.ts';
import { noCluster, type WatchedCluster } from '../monitor/watched-cluster.ts';
import type { createCarrier } from './backup-carrier.ts';
import type { createClusterWatch } from './watch.ts';

type Needs = Parameters<typeof createClusterWatch>[0] & Parameters<typeof createCarrier>[0];

/** The cluster of `ha.members`, whose code is loaded with the first check of a monitor, or the first backup; none where nobody is named. */
export const clusterOf = (needs: Needs): { readonly watchedCluster: WatchedCluster; readonly carrier: Carrier } =>
  Object.keys(needs.config.ha.members).length === 0
    ? { watchedCluster: noCluster, carrier: noCarrier }
    : {
        watchedCluster: lazily(['news'], async () => (await import('./watch.ts')).createClusterWatch(needs)),
        carrier: lazily(['turn'], async () => (await import('./backup-carrier.ts')).createCarrier(needs)),
      };

import { type Carrier, noCarrier } from '../backups/carrier.ts';
import type { Leading } from '../health/leading.ts';
import { lazily } from '../kernel/load-on-demand.ts';
import { noCluster, type WatchedCluster } from '../monitor/watched-cluster.ts';
import type { createCarrier } from './backup-carrier.ts';
import type { createClusterWatch } from './watch.ts';

type Needs = Parameters<typeof createClusterWatch>[0] & Parameters<typeof createCarrier>[0];

/** As a monitor, a backup and a health check see it. */
interface SeenCluster {
  readonly watchedCluster: WatchedCluster;
  readonly carrier: Carrier;
  /** undefined: there is none. */
  readonly leading: Leading | undefined;
}

/** The cluster of `ha.members`, whose code is loaded with the first question; none where nobody is named. */
export const clusterOf = (needs: Needs): SeenCluster =>
  Object.keys(needs.config.ha.members).length === 0
    ? { watchedCluster: noCluster, carrier: noCarrier, leading: undefined }
    : {
        watchedCluster: lazily(['news'], async () => (await import('./watch.ts')).createClusterWatch(needs)),
        carrier: lazily(['turn'], async () => (await import('./backup-carrier.ts')).createCarrier(needs)),
        leading: lazily(['leader'], async () => (await import('./leading.ts')).createLeading(needs)),
      };

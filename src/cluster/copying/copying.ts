import { lazily } from '../../kernel/load-on-demand.ts';
import type { CopyingNeeds, ReplicaReport, ReplicaWish } from './create-replica.ts';

/** A member's data made from backups, as Patroni asks for it. */
export interface Copying {
  createReplica(wish: ReplicaWish, signal: AbortSignal): Promise<ReplicaReport>;
}

/** Its code is loaded with the first call. */
export const createCopying = (needs: CopyingNeeds): Copying =>
  lazily(['createReplica'], async () => {
    const { createReplica } = await import('./create-replica.ts');
    return { createReplica: (wish: ReplicaWish, signal: AbortSignal) => createReplica(needs, wish, signal) };
  });

import type { Alerter } from '../../alerts/contract.ts';
import { serverOwner } from '../../instance/owner.ts';
import { lazily } from '../../kernel/load-on-demand.ts';
import type { ClusterRestore, RestoringWish } from '../restoring/restore-local.ts';
import type { BootstrapReport, BootstrapWish } from './bootstrap.ts';
import type { CopyingNeeds, ReplicaReport, ReplicaWish } from './create-replica.ts';

/** Members' data made from backups: one at a time as Patroni asks for it, or the whole cluster. */
export interface Copying {
  createReplica(wish: ReplicaWish, signal: AbortSignal): Promise<ReplicaReport>;
  bootstrap(wish: BootstrapWish, signal: AbortSignal): Promise<BootstrapReport>;
  restore(wish: RestoringWish, ask: (plan: ClusterRestore) => Promise<boolean>, signal: AbortSignal): Promise<ClusterRestore>;
}

/** Its code is loaded with the first call. */
export const createCopying = (needs: CopyingNeeds & { readonly alerts: Pick<Alerter, 'reveal'> }): Copying =>
  lazily(['createReplica', 'bootstrap', 'restore'], async () => {
    const [{ createReplica }, { bootstrapMember }, { restoreLocal }, { restoreHere }] = await Promise.all([
      import('./create-replica.ts'),
      import('./bootstrap.ts'),
      import('../restoring/restore-local.ts'),
      import('../restoring/restore-here.ts'),
    ]);
    const { system, config } = needs;
    const owner = () => serverOwner(config.postgresql, system);
    const all = { ...system, ...needs, instance: { owner } };
    return {
      createReplica: (wish: ReplicaWish, signal: AbortSignal) => createReplica(needs, wish, signal),
      bootstrap: (wish: BootstrapWish, signal: AbortSignal) => bootstrapMember(needs, wish, signal),
      restore: (...given: Parameters<Copying['restore']>) =>
        Object.keys(config.ha.members).length > 0 ? restoreHere(all, ...given) : restoreLocal(all, ...given),
    };
  });

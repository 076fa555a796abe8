import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { serverOwner } from '../../instance/owner.ts';
import { withAny } from '../../kernel/deadline.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { HeldLock, Identity, System } from '../../kernel/machine.ts';
import { whileParentLives } from '../../machine/parent.ts';

/** How Patroni has called dbkit for the data of its member. */
export interface PatroniCall {
  readonly command: 'create-replica' | 'bootstrap';
  readonly dataDir: string;
}

const LOCK_MS = 60_000;
const EVERY_MS = 500;

/**
 * Runs `work` alone on the member's data, and only as long as Patroni lives: one that is killed leaves its methods running, and the next Patroni begins
 * another in the same directory. Rejects with `config.invalid` for data that is not this dbkit's, and `lock.held`.
 */
export async function calledByPatroni<T>(
  { command, dataDir }: PatroniCall,
  { config, system }: { readonly config: Config; readonly system: System },
  signal: AbortSignal,
  work: (owner: Identity, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  requireOwnData(config, dataDir);
  return whileParentLives(system.clock, (orphaned) =>
    withAny([signal, orphaned], async (both) => {
      const owner = await serverOwner(config.postgresql, system);
      const lock = await acquireAwaited(join(config.stateDir, 'create-replica.lock'), `dbkit ha ${command}`, system, both);
      try {
        return await work(owner, both);
      } finally {
        await lock.release();
      }
    }),
  );
}

function requireOwnData({ postgresql }: Config, dataDir: string): void {
  if (join(dataDir, '.') === join(postgresql.dataDir, '.')) return;
  throw new DbkitError('config.invalid', `--datadir is ${dataDir}, and dbkit's data directory is ${postgresql.dataDir}`, {
    hint: 'name the configuration of this member with --config; nothing was changed',
  });
}

/** One whose Patroni was killed ends by itself, and takes away what it had copied. */
async function acquireAwaited(path: string, holder: string, { locks, clock }: System, signal: AbortSignal): Promise<HeldLock> {
  const endMs = clock.monotonicMs() + LOCK_MS;
  for (;;) {
    try {
      return await locks.acquire(path, holder);
    } catch (cause) {
      if (!(cause instanceof DbkitError && cause.code === 'lock.held') || clock.monotonicMs() > endMs) throw cause;
      await clock.sleep(EVERY_MS, signal);
    }
  }
}

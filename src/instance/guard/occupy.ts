import { hostname } from 'node:os';
import * as v from 'valibot';
import { DbkitError } from '../../kernel/errors.ts';
import type { HeldLock, Identity, System } from '../../kernel/machine.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import type { Volume } from '../volume.ts';
import { lockVolume } from './lock.ts';
import { clearStalePid, serverOn, takeOver } from './preflight.ts';
import { programOf } from './program-of.ts';

const DRAIN_MS = 10_000;
const holderSchema = v.object({ host: v.optional(v.string()), pid: v.optional(v.number()) });

/**
 * Makes this process the only one that may touch the data: takes the kernel lock, ends a server that outlived its dbkit, and sets a stale
 * postmaster.pid aside. Rejects with `lock.held` (another dbkit lives) or `server.running` (a server that dbkit did not start).
 */
export async function occupy(volume: Volume, owner: Identity, system: System, signal: AbortSignal): Promise<HeldLock> {
  const lock = await lockVolume(volume, owner, system).catch(async (cause: unknown) => {
    if (!(cause instanceof DbkitError && cause.code === 'lock.held') || (await holderLives(volume))) throw cause;
    for (const directory of [volume.dataDir, volume.incoming, volume.staged]) {
      const orphan = await serverOn(directory);
      if (typeof orphan === 'object') await takeOver(directory, orphan.pid, system, signal);
    }
    return lockOnceDrained(volume, owner, system, cause, signal);
  });
  try {
    const server = await serverOn(volume.dataDir);
    if (typeof server === 'object') {
      throw new DbkitError(
        'server.running',
        `a PostgreSQL server that dbkit did not start is running on ${volume.dataDir} (pid ${server.pid})`,
        {
          hint: `stop it first (pg_ctl stop -D ${volume.dataDir}); nothing was changed`,
        },
      );
    }
    if (server === 'stale') await clearStalePid(volume, system);
    return lock;
  } catch (cause) {
    await lock.release();
    throw cause;
  }
}

/** The dbkit that wrote the lock file lives here, or anywhere this process cannot see: then its claim stands. */
async function holderLives(volume: Volume): Promise<boolean> {
  const holder = await readHolder(volume.lock);
  if (holder.host !== hostname() || typeof holder.pid !== 'number') return true;
  return (await programOf(holder.pid)) !== undefined;
}

async function readHolder(path: string): Promise<v.InferOutput<typeof holderSchema>> {
  try {
    return v.parse(holderSchema, JSON.parse(await readPlainText(path)));
  } catch {
    return {}; // Gone, or cut short: who holds the directory cannot be named.
  }
}

/** The last processes of a dead server hold the lock for a moment longer. */
async function lockOnceDrained(volume: Volume, owner: Identity, system: System, refused: unknown, signal: AbortSignal): Promise<HeldLock> {
  const deadlineMs = system.clock.monotonicMs() + DRAIN_MS;
  while (system.clock.monotonicMs() < deadlineMs) {
    const lock = await lockVolume(volume, owner, system).catch(() => undefined);
    if (lock) return lock;
    await system.clock.sleep(100, signal);
  }
  throw refused;
}

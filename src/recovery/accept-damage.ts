import { damageMemory, type KnownDamage } from '../inspection/known-damage.ts';
import type { Inspect } from '../inspection/report.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';

export interface AcceptReport {
  readonly accepted: readonly KnownDamage[];
}

/** Damage that is known, and a person's word that it need not be told any more. */
export interface Damage {
  open(signal: AbortSignal): Promise<readonly KnownDamage[]>;
  accept(signal: AbortSignal): Promise<readonly KnownDamage[]>;
}

export function createDamage(places: { readonly dataDir: string; readonly stateDir: string }, inspect: Inspect, system: System): Damage {
  const memory = damageMemory(places, system);
  const cluster = async (signal: AbortSignal): Promise<string> => {
    const { systemIdentifier, dataDir } = await inspect({ deep: false }, signal);
    if (systemIdentifier !== null) return systemIdentifier;
    throw new DbkitError('data.corrupt', `pg_control of ${dataDir} cannot be read, so nothing is known about this data`, {
      hint: '`dbkit inspect` shows what is wrong; nothing was changed',
    });
  };
  return {
    open: async (signal) => memory.open(await cluster(signal)),
    accept: async (signal) => memory.accept(await cluster(signal)),
  };
}

/** Asks with what is known, and accepts all of it. Rejects with `recovery.refused` when the answer is no. */
export async function acceptDamage(
  { damage }: { readonly damage: Damage },
  mayAccept: (open: readonly KnownDamage[]) => Promise<boolean>,
  signal: AbortSignal,
): Promise<AcceptReport> {
  const open = await damage.open(signal);
  if (open.length === 0) return { accepted: [] };
  if (!(await mayAccept(open)))
    throw new DbkitError('recovery.refused', 'nothing was changed: the damage stays known', { hint: '`dbkit health` names the way back' });
  return { accepted: await damage.accept(signal) };
}

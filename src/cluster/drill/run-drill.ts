import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import { downLocal } from '../local/down.ts';
import { localFolder, localNeeds, readLocal } from '../local/local-state.ts';
import { makeNetworks, removeNetworks } from '../local/networks.ts';
import { startingOf } from '../local/starting.ts';
import { type LocalNeeds, upLocal } from '../local/up.ts';
import { type Drill, type DrillName, drillNamed, drills } from './drills.ts';
import { keepTrial, type Trial } from './evidence.ts';
import { runTrial } from './run-trial.ts';

export interface DrillWish {
  readonly name: string;
  readonly trials: number;
  /** The first port of the cluster that it is run on. */
  readonly port: number;
  readonly members: number;
  readonly program: readonly string[];
  /** Patroni alone is rehearsed, to compare with: no guard, and no PAUSE of PgBouncer. */
  readonly unguarded?: true;
}

export interface DrillReport {
  readonly drill: string;
  readonly trials: readonly Trial[];
  readonly passed: boolean;
  /** The files of the evidence. */
  readonly evidence: readonly string[];
  /** Where the cluster was left for a look; null: it passed, and was removed. */
  readonly folder: string | null;
}

/**
 * Rehearses a disaster on a cluster of its own, and measures it. Rejects with `usage.invalid` for a drill that there is not, `lock.held` beside
 * another one, and with what `ha up --local` says where the cluster does not come up. A target that was missed is part of the report.
 */
export async function runDrill(outer: LocalNeeds, { name, trials, ...wish }: DrillWish, signal: AbortSignal): Promise<DrillReport> {
  const drill = knownDrill(name);
  const needs = { ...outer, config: { ...outer.config, stateDir: join(outer.config.stateDir, 'ha-drill') } };
  await outer.files.makeDirectory(outer.config.stateDir, { mode: 0o700, owner: await outer.instance.owner() });
  const lock = await outer.locks.acquire(
    join(outer.config.stateDir, 'ha-drill.lock'),
    `dbkit ha drill ${drill.id}`,
    await outer.instance.owner(),
  );
  try {
    return await rehearse(outer, needs, { drill, trials, ...wish }, signal);
  } finally {
    await lock.release();
  }
}

/** Only one runs at a time: it begins by removing what the one before it left. */
async function rehearse(
  outer: LocalNeeds,
  needs: LocalNeeds,
  { drill, trials, ...wish }: Omit<DrillWish, 'name'> & { readonly drill: Drill & { readonly id: DrillName } },
  signal: AbortSignal,
): Promise<DrillReport> {
  await clear(needs); // Of a drill that was killed.
  await rm(needs.config.stateDir, { recursive: true, force: true }); // Nobody's data but that of an earlier drill.
  const apart = drill.id === 'partition' ? { apart: true as const } : {};
  if (drill.id === 'partition') await makeNetworks(needs, wish, signal);
  const done: Trial[] = [];
  const evidence: string[] = [];
  try {
    await upLocal(needs, { ...wish, ...apart, backups: false }, signal); // They would be measured too.
    const starting = await startingOf(needs, { program: wish.program, backups: false }, signal);
    const here = localNeeds(needs, starting.state);
    for (let trial = 1; trial <= trials; trial += 1) {
      needs.log.info('ha.drill', `${drill.id}, trial ${trial} of ${trials}: ${drill.words}`);
      const one = await runTrial(here, drill, starting, signal);
      evidence.push(await keepTrial(outer.config, needs, one));
      done.push(one);
    }
  } finally {
    await clear(needs, drill.id === 'partition' ? wish : undefined);
  }
  const passed = done.every((one) => one.passed);
  if (passed) await rm(needs.config.stateDir, { recursive: true, force: true });
  return { drill: drill.id, trials: done, passed, evidence, folder: passed ? null : localFolder(needs.config) };
}

/** Ends its programs, and then removes the networks that they ran in. */
async function clear(needs: LocalNeeds, made?: { readonly port: number; readonly members: number }): Promise<void> {
  const state = await readLocal(needs.files, localFolder(needs.config));
  await downLocal(needs);
  const networks = made ?? (state?.apart ? state : undefined);
  if (networks !== undefined) await removeNetworks(needs, networks, new AbortController().signal);
}

/** Throws `usage.invalid` for a name that is none. */
export function knownDrill(name: string): Drill & { readonly id: DrillName } {
  const drill = drillNamed(name);
  if (drill !== undefined) return drill;
  throw new DbkitError('usage.invalid', `there is no drill '${name}'`, { hint: `the drills are ${drills.map(({ id }) => id).join(', ')}` });
}

import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { isThere } from '../../machine/is-there.ts';
import type { WholeWish } from '../copying/whole-plan.ts';
import { localFolder, localNeeds, readLocal } from '../local/local-state.ts';
import type { Starting } from '../local/start.ts';
import { startingOf } from '../local/starting.ts';
import type { LocalNeeds } from '../local/up.ts';
import { endJournal, type RestoreJournal, readJournal, writeJournal } from './journal.ts';
import { joinOthers, type Proof, setAllAside, startFirst } from './phases.ts';
import { planLocal } from './plan-local.ts';

export interface RestoringNeeds extends Omit<LocalNeeds, 'config'> {
  readonly config: Config;
  readonly system: System;
}

export interface RestoringWish extends Pick<WholeWish, 'label' | 'point'> {
  readonly dryRun: boolean;
  /** Only sets this machine's data aside: the cluster was restored on another one. */
  readonly aside: boolean;
  /** Of the caller, for Patroni's own variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly program: readonly string[];
}

/** One restore of a whole cluster: its plan before, and what was proven after it. */
export interface ClusterRestore {
  readonly done: boolean;
  /** An earlier run had begun it. */
  readonly resumed: boolean;
  readonly plan: RestoreJournal['plan'];
  readonly first: string;
  readonly others: readonly string[];
  /** Where each member's data went; empty before. */
  readonly aside: readonly { readonly member: string; readonly path: string }[];
  /** null before. */
  readonly proof: Proof | null;
  /** Commands for a person, before the next call and in this order; empty where dbkit does it all. */
  readonly next: readonly string[];
  readonly seconds: number;
}

/**
 * Brings the whole local cluster back to a backup or a moment: every member is stopped, its data set aside, the first one made from the backup, the others
 * from it. A restore that was begun is finished by the next call, whatever ended the one before. Resolves with success only for a leader that acknowledged a
 * commit and replicas that stream. Rejects with `usage.invalid`, `backup.missing`, `recovery.refused`, `service.failed`.
 */
export async function restoreLocal(
  needs: RestoringNeeds,
  wish: RestoringWish,
  ask: (plan: ClusterRestore) => Promise<boolean>,
  signal: AbortSignal,
): Promise<ClusterRestore> {
  if (wish.aside)
    throw new DbkitError('usage.invalid', 'a cluster on this machine is restored whole: --aside is for machines of their own', {
      hint: 'leave --aside out',
    });
  const begunMs = needs.clock.monotonicMs();
  const folder = localFolder(needs.config);
  if (!(await isThere(folder))) throw noLocalCluster();
  const lock = await needs.locks.acquire(join(folder, 'lock'), 'dbkit ha restore');
  try {
    const starting = await startingHere(needs, folder, wish.program, signal);
    const begun = await readJournal(needs.files, folder);
    const journal = begun === undefined ? await planned(needs, starting, wish, signal) : sameWish(begun, wish);
    const plan = reportOf(journal, starting, { resumed: begun !== undefined, proof: null, seconds: 0 });
    if (wish.dryRun || (begun === undefined && !(await ask(plan)))) return plan;
    if (begun === undefined) await writeJournal(needs.files, folder, journal);
    const { proof, journal: last } = await carryOut(needs, starting, journal, signal);
    await endJournal(folder);
    const seconds = Math.round((needs.clock.monotonicMs() - begunMs) / 100) / 10;
    return { ...reportOf(last, starting, { resumed: begun !== undefined, proof, seconds }), done: true };
  } finally {
    await lock.release();
  }
}

const noLocalCluster = (): DbkitError =>
  new DbkitError('usage.invalid', 'there is no local cluster', { hint: '`dbkit ha up --local` makes one' });

async function startingHere(needs: RestoringNeeds, folder: string, program: readonly string[], signal: AbortSignal): Promise<Starting> {
  if ((await readLocal(needs.files, folder)) === undefined) throw noLocalCluster();
  const starting = await startingOf(needs, { program, backups: true }, signal);
  if (starting.plan.backups !== null) return starting;
  throw new DbkitError(
    'recovery.refused',
    `${starting.owner.name} cannot read dbkit's program, so Patroni cannot call it for the restore`,
    {
      hint: 'install dbkit where every user can read it; nothing was changed',
    },
  );
}

async function planned(needs: RestoringNeeds, starting: Starting, wish: RestoringWish, signal: AbortSignal): Promise<RestoreJournal> {
  if (wish.label === undefined && wish.point === undefined)
    throw new DbkitError('usage.invalid', 'it is not said what to restore', { hint: 'name a backup of `dbkit backup list`, or --to TIME' });
  const plan = await planLocal(needs, localNeeds(needs, starting.state), starting, wish, signal);
  const at = needs.clock.now().toISOString();
  return { schema: 'dbkit.ha-restoring/v1', at, phase: 'down', asked: askedOf(wish), ...plan, oldData: null, aside: [] };
}

export const askedOf = ({ label, point }: Pick<WholeWish, 'label' | 'point'>): string => JSON.stringify({ label, point });

/** Without arguments, or with those that it was begun with. */
export function sameWish(journal: RestoreJournal, wish: RestoringWish): RestoreJournal {
  if ((wish.label === undefined && wish.point === undefined) || askedOf(wish) === journal.asked) return journal;
  throw new DbkitError('recovery.refused', `a restore of the cluster from ${journal.plan.label}, begun at ${journal.at}, is not finished`, {
    hint: 'finish it first: `dbkit ha restore`',
  });
}

async function carryOut(
  needs: RestoringNeeds,
  starting: Starting,
  begun: RestoreJournal,
  signal: AbortSignal,
): Promise<{ readonly proof: Proof; readonly journal: RestoreJournal }> {
  let journal = begun;
  if (journal.phase === 'down') journal = await setAllAside(needs, starting, journal, signal);
  if (journal.phase === 'up') journal = await startFirst(needs, starting, journal, signal);
  return { journal, proof: await joinOthers(needs, starting, journal, signal) };
}

const reportOf = (
  { plan, first, aside }: RestoreJournal,
  starting: Starting,
  over: Pick<ClusterRestore, 'resumed' | 'proof' | 'seconds'>,
): ClusterRestore => ({
  done: false,
  plan,
  first,
  others: starting.plan.members.map(({ name }) => name).filter((name) => name !== first),
  aside: aside.map(({ member, path }) => ({ member, path })),
  next: [],
  ...over,
});

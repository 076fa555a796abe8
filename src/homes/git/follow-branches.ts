import { type HookReport, installHook, uninstallHook } from '../../health/hooks/install.ts';
import type { Program } from '../../health/hooks/plan.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { decide, fill } from '../../kernel/reasons.ts';
import type { Git } from '../../machine/git-repository.ts';
import { AUTO_SETTING, afterCheckout } from './after-checkout.ts';
import { type CheckoutFacts, checkoutRows } from './auto-rows.ts';

type Needs = { readonly git: Git };

/** git's three words to the hook; all undefined where a person runs it. */
export interface Checkout {
  readonly previous?: string | undefined;
  readonly flag?: string | undefined;
}

export interface CheckoutVerdict {
  readonly then: 'follow' | 'ignore';
  /** The row that decided; see `dbkit explain`. */
  readonly reason: string;
  readonly because: string;
  readonly branch: string | null;
  /** The branch that git left. */
  readonly left: string | null;
}

export interface FollowReport extends HookReport {
  /** The branch that the data belongs to from now on; null on a detached HEAD, and where it was switched off. */
  readonly branch: string | null;
}

/** Asks git what was checked out. Rejects with `command.failed` outside a work tree. */
export async function judgeCheckout(
  { git }: Needs,
  { directory, previous, flag }: Checkout & { readonly directory: string },
  signal: AbortSignal,
): Promise<CheckoutVerdict> {
  const { branch, left, isLinked, during } = await git.checkoutOf(directory, signal);
  const facts: CheckoutFacts = {
    isOn: (await git.setting(directory, AUTO_SETTING, signal)) === 'true',
    isOfFiles: flag === '0',
    isFirst: previous !== undefined && /^0+$/.test(previous),
    isLinked,
    branch,
    during,
  };
  const { id, then, words } = decide<CheckoutFacts, (typeof checkoutRows)[number]>(checkoutRows, facts);
  return { then, reason: id, because: fill(words, { ...facts }), branch, left };
}

interface Place {
  readonly directory: string;
  readonly program: Program;
  /** By which dbkit finds the server. */
  readonly flags: readonly string[];
}

/**
 * Puts the hook into the repository, and switches it on for this clone of it. Rejects as `installHook` does.
 */
export async function followBranches({ git }: Needs, { directory, program, flags }: Place, signal: AbortSignal): Promise<FollowReport> {
  const { branch, isLinked } = await git.checkoutOf(directory, signal);
  if (isLinked)
    throw new DbkitError('usage.invalid', 'this is not the first work tree of the repository', {
      hint: 'run it in the first one: `git worktree list`; nothing was changed',
    });
  const report = await installHook({ git }, { directory, program, flags, hook: afterCheckout }, signal);
  await git.set(directory, AUTO_SETTING, 'true', signal);
  return { ...report, branch };
}

/** The data of each branch stays where it is. */
export async function unfollowBranches(
  { git }: Needs,
  { directory }: Pick<Place, 'directory'>,
  signal: AbortSignal,
): Promise<FollowReport> {
  await git.set(directory, AUTO_SETTING, undefined, signal);
  return { ...(await uninstallHook({ git }, { directory, hook: afterCheckout }, signal)), branch: null };
}

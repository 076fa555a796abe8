/** git, as far as hooks need it. */
export interface Git {
  /** Rejects with `command.failed` when the folder is in no work tree, `program.missing` without git. */
  repositoryOf(directory: string, signal: AbortSignal): Promise<GitRepository>;
  /** The same rejections. */
  checkoutOf(directory: string, signal: AbortSignal): Promise<GitCheckout>;
  /** A setting of the repository alone, which no clone brings; undefined where there is none. */
  setting(directory: string, name: string, signal: AbortSignal): Promise<string | undefined>;
  /** undefined: removes it. Rejects with `command.failed` and git's words. */
  set(directory: string, name: string, value: string | undefined, signal: AbortSignal): Promise<void>;
}

export interface GitRepository {
  readonly root: string;
  /** Shared by all work trees. */
  readonly gitDir: string;
  /** Where git looks for hooks: core.hooksPath, or gitDir/hooks. */
  readonly hooksDir: string;
}

/** The state of a work tree. */
export interface GitCheckout {
  readonly root: string;
  /** One of several work trees of a repository, and not the first. */
  readonly isLinked: boolean;
  /** null on a detached HEAD. */
  readonly branch: string | null;
  /** The branch that was checked out before; null where it was none, or where git no longer knows. */
  readonly left: string | null;
  /** The operation that git is in the middle of. */
  readonly during: 'rebase' | 'merge' | 'bisect' | 'cherry-pick' | 'revert' | null;
}

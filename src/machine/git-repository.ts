/** git, as far as hooks need it. */
export interface Git {
  /** Rejects with `command.failed` when the folder is in no work tree, `program.missing` without git. */
  repositoryOf(directory: string, signal: AbortSignal): Promise<GitRepository>;
}

export interface GitRepository {
  readonly root: string;
  /** Shared by all work trees. */
  readonly gitDir: string;
  /** Where git looks for hooks: core.hooksPath, or gitDir/hooks. */
  readonly hooksDir: string;
}

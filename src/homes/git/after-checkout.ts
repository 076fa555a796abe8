import { type Hook, runsDbkit } from '../../health/hooks/plan.ts';
import { shellArgument } from '../../kernel/shell-word.ts';

/** The setting of a repository by which its owner switched this on. A hook that a clone brings does nothing without it. */
export const AUTO_SETTING = 'dbkit.snapshotAuto';

/**
 * After each checkout of a branch: git tells the hook what HEAD was, what it is, and whether it was one (githooks(5)). Its status would be that of
 * `git checkout`, so it is always 0. `flags`: those by which dbkit finds the server.
 */
export const afterCheckout = (flags: readonly string[]): Hook => {
  const run = [...flags.map(shellArgument), 'snapshot auto run'].join(' ');
  const missing = "echo 'dbkit is not installed here: the database was not switched' >&2";
  return {
    name: 'post-checkout',
    heading: 'each branch has its own data: `dbkit snapshot auto off` takes this block away',
    entry: 'dbkit-snapshot',
    command: `${run} "$@"`,
    lines: (program) => [
      `if [ "$3" = 1 ] && [ "$(git config --local --get ${AUTO_SETTING})" = true ]; then`,
      ...runsDbkit(`${run} "$@" || :`, program, missing).map((line) => `  ${line}`),
      'fi',
    ],
    entries: {
      'pre-commit': `repos:
  - repo: local
    hooks:
      - id: dbkit-snapshot
        name: each branch has its own data
        entry: sh -c 'dbkit ${run} "$PRE_COMMIT_FROM_REF" "$PRE_COMMIT_TO_REF" "$PRE_COMMIT_CHECKOUT_TYPE" || :'
        language: system
        stages: [post-checkout]
        always_run: true
        pass_filenames: false`,
      lefthook: `post-checkout:
  commands:
    dbkit-snapshot:
      run: dbkit ${run} {1} {2} {3} || :`,
    },
  };
};

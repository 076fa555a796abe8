import { shellArgument } from '../../kernel/shell-word.ts';
import { type Hook, runsDbkit } from './plan.ts';

/** The check before every commit. Who has no dbkit is told so, and may commit. `flags`: those by which dbkit finds the server. */
export const beforeCommit = (flags: readonly string[]): Hook => {
  const runWith = (some: readonly string[]): string => ['hooks run', ...some.map(shellArgument)].join(' ');
  const run = runWith(flags);
  const shared = runWith(flags.filter((flag) => !/=\//.test(flag))); // What is committed must not name this machine's paths.
  return {
    name: 'pre-commit',
    heading: 'is the database well? `dbkit hooks uninstall` takes this block away',
    entry: 'dbkit-health',
    command: `dbkit ${run}`,
    lines: (program) =>
      runsDbkit(
        `${program === undefined ? shared : run} || exit $?`,
        program,
        "echo 'dbkit is not installed here: the database was not checked' >&2",
      ),
    entries: {
      'pre-commit': `repos:
  - repo: local
    hooks:
      - id: dbkit-health
        name: the database is well
        entry: dbkit ${shared}
        language: system
        always_run: true
        pass_filenames: false`,
      lefthook: `pre-commit:
  commands:
    dbkit-health:
      run: dbkit ${shared}`,
    },
  };
};

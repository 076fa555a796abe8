import { shellArgument } from '../../kernel/shell-word.ts';
import { type Hook, runsDbkit } from './plan.ts';

/** The check before every commit. Who has no dbkit is told so, and may commit. `flags`: those by which dbkit finds the server. */
export const beforeCommit = (flags: readonly string[]): Hook => {
  const run = [...flags.map(shellArgument), 'hooks run'].join(' ');
  return {
    name: 'pre-commit',
    heading: 'is the database well? `dbkit hooks uninstall` takes this block away',
    entry: 'dbkit-health',
    command: `dbkit ${run}`,
    lines: (program) => runsDbkit(`${run} || exit $?`, program, "echo 'dbkit is not installed here: the database was not checked' >&2"),
    entries: {
      'pre-commit': `repos:
  - repo: local
    hooks:
      - id: dbkit-health
        name: the database is well
        entry: dbkit ${run}
        language: system
        always_run: true
        pass_filenames: false`,
      lefthook: `pre-commit:
  commands:
    dbkit-health:
      run: dbkit ${run}`,
    },
  };
};

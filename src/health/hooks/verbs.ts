/** The verbs of a repository’s hook, as commands know them; loaded with the first that is asked for. */
export { checkBeforeCommit } from './check.ts';
export { installHook, uninstallHook } from './install.ts';

import { DbkitError } from '../kernel/errors.ts';

/** Commands that a connection is enough for: those that the environment may give one to (DATABASE_URL, PGSERVICE, PGHOST). */
const askOnly = new Set(['', 'health', 'wait', 'status', 'sql', 'snapshot', 'backup', 'seed', 'pull']);

/** Commands about the files or the processes of a server, which a connection does not bring. */
const needFiles = new Set([
  'entrypoint',
  'up',
  'down',
  'restart',
  'inspect',
  'recover',
  'salvage',
  'wal',
  'timeline',
  'restore-point',
  'upgrade',
  'adopt',
  'systemd',
  'monitor',
  'maintenance',
  'doctor',
]);

const verbOf = (command: string): string => command.split(' ')[0]!;

/** Pure. May this command's server come from the environment alone? */
export const takesAnyServer = (command: string): boolean => askOnly.has(verbOf(command));

/** Throws `usage.invalid` for a command that a connection is not enough for. */
export function requireFiles(command: string, from: string): void {
  if (needFiles.has(verbOf(command)))
    throw new DbkitError('usage.invalid', `\`dbkit ${command}\` needs the files of the server, and ${from} names a connection only`, {
      hint: `run it on the machine of the server; over a connection there are ${[...askOnly].filter(Boolean).join(', ')}`,
    });
}

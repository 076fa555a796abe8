import type { AutomaticCommands } from '../supervisor/automatic-work.ts';
import type { GlobalFlags, Surroundings } from './cli.ts';
import { handedOn } from './global-flags.ts';

/** This very program with other words and the same settings: how it is started again in the background. */
export function again({ program }: Pick<Surroundings, 'program'>, flags: GlobalFlags, words: readonly string[]): string[] {
  return [...program, ...words, ...handedOn(flags)];
}

/** `up` in the background, which fails or holds as the one in front was told to. */
export const upAgain = (surroundings: Pick<Surroundings, 'program'>, flags: GlobalFlags): string[] =>
  again(surroundings, flags, ['up', '--quiet', '--log-format=json', ...(flags.strict ? ['--strict'] : [])]);

/** The backup that nobody asked for: it goes last, and decides by itself whether there is anything to do. */
export const automaticBackup = (surroundings: Pick<Surroundings, 'program'>, flags: GlobalFlags): string[] =>
  again(surroundings, flags, ['backup', 'create', '--if-carrier', '--if-changed', '--low-priority', '--quiet']);

export const automaticCommands = (surroundings: Pick<Surroundings, 'program'>, flags: GlobalFlags): AutomaticCommands => ({
  backup: automaticBackup(surroundings, flags),
  sendWal: (copy) => again(surroundings, flags, ['wal', 'copy', '--to', copy, '--follow', '--quiet']),
  drill: (kind) => again(surroundings, flags, ['drill', kind, '--if-carrier', '--low-priority', '--quiet']),
});

export const definedOnly = (environment: Surroundings['environment']): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined));

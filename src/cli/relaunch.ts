import type { GlobalFlags, Surroundings } from './cli.ts';

/** This very program with other words and the same settings: how it is started again in the background. */
export function again({ program }: Pick<Surroundings, 'program'>, flags: GlobalFlags, words: readonly string[]): string[] {
  const given: Record<string, string | number | boolean | undefined> = {
    '--config': flags.config,
    '--local': flags.local,
    '--cluster': flags.cluster,
    '--data-dir': flags.dataDir,
    '--socket-dir': flags.socketDir,
    '--port': flags.port,
    '--state-dir': flags.stateDir,
    '--log-dir': flags.logDir,
    '--backup-dir': flags.backupDir,
    '--bin-dir': flags.binDir,
    '--strict': flags.strict,
  };
  const settings = Object.entries(given).flatMap(([name, value]) =>
    value === true ? [name] : value === undefined || value === false ? [] : [`${name}=${value}`],
  );
  return [...program, ...words, ...settings];
}

/** The backup that nobody asked for: it goes last, and decides by itself whether there is anything to do. */
export const automaticBackup = (surroundings: Pick<Surroundings, 'program'>, flags: GlobalFlags): string[] =>
  again(surroundings, flags, ['backup', 'create', '--if-changed', '--low-priority', '--quiet']);

export const definedOnly = (environment: Surroundings['environment']): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined));

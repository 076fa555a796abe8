import { InvalidArgumentError, Option } from 'commander';
import { LOCAL_DIR } from '../homes/local-layout.ts';
import type { GlobalFlags } from './cli.ts';

interface GlobalFlag {
  /** As commander reads it: '-q, --quiet', '--config <file>'. */
  readonly flags: string;
  readonly words: string;
  /** The setting that it overrides; a folder is taken from the working directory. */
  readonly setting?: { readonly path: string; readonly isFolder: boolean };
  /** The value that the flag has where none is given. */
  readonly alone?: string;
  /** Handed on where dbkit starts itself again. */
  readonly handedOn: boolean;
  readonly choices?: readonly string[];
  readonly parse?: (text: string) => number;
}

const port = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_535) throw new InvalidArgumentError('a port is a number from 1 to 65535.');
  return value;
};
const folder = (path: string) => ({ setting: { path, isFolder: true }, handedOn: true }) as const;
const forThisCall = { handedOn: false } as const;

/** The flags that every command takes: parsing, configuration, the restart in the background, completion and help have them from here. */
export const globalFlags: Readonly<Record<Exclude<keyof GlobalFlags, 'strict'>, GlobalFlag>> = {
  json: { flags: '--json', words: 'print one JSON document on stdout, also on failure', ...forThisCall },
  quiet: { flags: '-q, --quiet', words: 'say warnings and errors only', ...forThisCall },
  verbose: { flags: '-v, --verbose', words: 'say more', ...forThisCall },
  color: { flags: '--no-color', words: 'no colours', ...forThisCall },
  yes: { flags: '-y, --yes', words: 'answer every question with yes', ...forThisCall },
  config: { flags: '--config <file>', words: 'configuration file', handedOn: true },
  logFormat: { flags: '--log-format <format>', words: 'format of the log lines on stderr', choices: ['human', 'json'], ...forThisCall },
  local: {
    flags: '--local [dir]',
    words: `keep everything below one folder (${LOCAL_DIR}), backups too`,
    alone: LOCAL_DIR,
    handedOn: true,
  },
  cluster: { flags: '--cluster <version/name>', words: 'a cluster of Debian’s: its data, socket and port', handedOn: true },
  url: { flags: '--url <url>', words: 'a server that is a connection and nothing else: postgresql://USER@HOST/DATABASE', ...forThisCall },
  dataDir: { flags: '--data-dir <dir>', words: 'data directory (PGDATA)', ...folder('postgresql.dataDir') },
  socketDir: { flags: '--socket-dir <dir>', words: 'socket directory (PGHOST)', ...folder('postgresql.socketDir') },
  port: {
    flags: '--port <port>',
    words: 'port (PGPORT)',
    setting: { path: 'postgresql.port', isFolder: false },
    handedOn: true,
    parse: port,
  },
  stateDir: { flags: '--state-dir <dir>', words: 'state directory (DBKIT_STATE_DIR)', ...folder('stateDir') },
  logDir: { flags: '--log-dir <dir>', words: 'log directory (LOG_DIR)', ...folder('logDir') },
  backupDir: { flags: '--backup-dir <dir>', words: 'repository (BACKUP_DIR)', ...folder('backupDir') },
  binDir: { flags: '--bin-dir <dir>', words: 'where postgres and initdb are (POSTGRES_BIN_DIR)', ...folder('postgresql.binDir') },
};

const entries = Object.entries(globalFlags) as [keyof typeof globalFlags, GlobalFlag][];
/** '--data-dir' */
const longName = ({ flags }: GlobalFlag): string => /--[a-z-]+/.exec(flags)![0];

/** For the parser, and so for help, the manual and completion. */
export const globalOptions = (): Option[] =>
  entries.map(([, { flags, words, choices, parse }]) => {
    const option = new Option(flags, words);
    if (choices) option.choices(choices);
    return parse ? option.argParser(parse) : option;
  });

/** The settings that flags override, as the layers of the configuration take them. */
export const settingFlags = (
  given: GlobalFlags,
  resolveFolder: (path: string) => string,
): { readonly path: string; readonly value: unknown; readonly flag: string }[] =>
  entries.flatMap(([key, flag]) => {
    const value = given[key];
    if (flag.setting === undefined || value === undefined) return [];
    return [{ path: flag.setting.path, value: flag.setting.isFolder ? resolveFolder(String(value)) : value, flag: longName(flag) }];
  });

/**
 * The words that give another dbkit the same settings, whatever its command: each takes these. `--strict` is for those that start a server. Each has
 * its value, so that no word behind it is taken for one.
 */
export const handedOn = (given: GlobalFlags): string[] =>
  entries.flatMap(([key, flag]) => {
    const value = given[key];
    if (!flag.handedOn || value === undefined || value === false) return [];
    return [`${longName(flag)}=${value === true ? flag.alone : value}`];
  });

/** Before the command a flag whose value may be left out takes none that is a command: `dbkit --local sql`. Pure. */
export function beforeCommand(argv: readonly string[], commands: readonly string[]): string[] {
  const flag = entries.map(([, { alone, ...rest }]) => ({ name: longName(rest), alone })).find(({ alone }) => alone !== undefined)!;
  const at = argv.findIndex((word) => word === '--' || commands.includes(word)) - 1;
  return argv.map((word, index) => (index === at && word === flag.name ? `${word}=${flag.alone}` : word));
}

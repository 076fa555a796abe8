import { fileURLToPath } from 'node:url';
import type { GlobalFlags, OpenOptions, Surroundings } from '../../src/cli/cli.ts';
import type { Parts } from '../../src/cli/parts.ts';
import { runProgram } from '../../src/cli/program.ts';
import { layerConfig } from '../../src/config/layers.ts';
import type { Logger, Signals } from '../../src/kernel/machine.ts';

/** What a command said and answered, run without a process of its own. */
export interface Said {
  readonly status: number;
  readonly out: string;
  readonly error: string;
  /** The flags of every time the application was opened: none for commands that must touch nothing. */
  readonly opened: readonly GlobalFlags[];
}

export interface InProcess {
  readonly app?: Partial<Parts>;
  readonly environment?: Surroundings['environment'];
  readonly workingDirectory?: string;
  readonly isTerminal?: boolean;
  /** Delivered as soon as the command listens. */
  readonly signal?: 'SIGINT' | 'SIGTERM';
}

/** `dbkit ARGV…` with this application instead of the real one. */
export async function inProcess(argv: readonly string[], options: InProcess = {}): Promise<Said> {
  const { app = {}, environment = {}, workingDirectory = '/', isTerminal = false } = options;
  const said = { out: '', error: '' };
  const opened: GlobalFlags[] = [];
  const { config, origins } = layerConfig({ file: undefined, environment: [], flags: [] });
  const surroundings: Surroundings = {
    version: '1.2.3',
    environment,
    workingDirectory,
    home: fileURLToPath(new URL('../..', import.meta.url)),
    program: ['node', 'dbkit'],
    terminal: {
      stdin: isTerminal,
      stdout: isTerminal,
      stderr: isTerminal,
      writeOut: (text) => {
        said.out += text;
      },
      writeError: (text) => {
        said.error += text;
      },
    },
    signals: signalling(options.signal),
    open: {
      config: async ({ flags }) => {
        opened.push(flags);
        return { config, origins };
      },
      trust: async () => {
        throw new Error('nothing is trusted here');
      },
      parts: async (opening) => {
        opened.push(opening.flags);
        return { config, origins, log: loggerOf(opening), locks: nobodyElse, ...app } as Parts;
      },
      logger: loggerOf,
    },
  };
  return { status: await runProgram(argv, surroundings), opened, ...said };
}

/** No other process is there to wait for. */
const nobodyElse = { turn: async () => undefined } as Partial<Parts['locks']> as Parts['locks'];

const signalling = (signal: InProcess['signal']): Signals => ({
  subscribe(listener) {
    if (signal) listener(signal);
    return () => undefined;
  },
});

function loggerOf({ log }: OpenOptions): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (event: string, message: string, fields = {}) =>
      log({ at: new Date(0), level, event, message, fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), progress: () => undefined };
}

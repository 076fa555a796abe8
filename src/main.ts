import { readFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { failures } from './kernel/errors.ts';
import type { Signals } from './kernel/machine.ts';
import { createStreams } from './machine/standard-streams.ts';

type Listener = Parameters<Signals['subscribe']>[0];
type SignalName = Parameters<Listener>[0];

/** argv (without node and script) → exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const signals = listenToSignals(); // Before any other work: PID 1 has no default actions.
  const streams = createStreams();
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    streams.writeOut(`${version()}\n`);
    return 0;
  }
  if (argv.some((word) => /:\/\/[^@/]*:[^@/]+@/.test(word))) process.title = 'dbkit'; // Everybody on the machine may read a command line.
  const umask = process.umask(0o022);
  process.umask(umask | 0o022); // Nothing that dbkit makes is for others to write, whatever it was started with.
  const { runProgram } = await import('./cli/program.ts');
  const { open } = await import('./compose.ts');
  const status = await runProgram(argv, {
    version: version(),
    environment: process.env,
    workingDirectory: workingDirectory(),
    home: fileURLToPath(new URL('..', import.meta.url)),
    program: [process.execPath, process.argv[1] ?? 'dbkit'],
    terminal: {
      stdin: isatty(0),
      stdout: isatty(1),
      stderr: isatty(2),
      writeOut: streams.writeOut,
      writeError: streams.writeError,
    },
    signals,
    open,
  });
  const lost = streams.lost();
  if (lost === undefined || status !== 0 || argv[0] === 'entrypoint') return status; // The entrypoint's status is its command's.
  streams.writeError(
    `dbkit: what was to be printed could not be written (${lost})\nHINT: see where stdout leads; what was asked for is done\n`,
  );
  return failures['volume.full'].exit;
}

/** A folder that is gone, or that this user may not enter, is no reason not to look after a server. */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return '/';
  }
}

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** Signals as data. What arrives before anybody listens is delivered to the first who does. */
function listenToSignals(): Signals {
  const listeners = new Set<Listener>();
  const early: SignalName[] = [];
  for (const name of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1'] as const) {
    process.on(name, () => {
      if (listeners.size === 0) early.push(name);
      for (const listener of listeners) listener(name);
    });
  }
  return {
    subscribe(listener) {
      listeners.add(listener);
      for (const name of early.splice(0)) listener(name);
      return () => listeners.delete(listener);
    },
  };
}

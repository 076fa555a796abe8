import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Signals } from './kernel/machine.ts';

type Listener = Parameters<Signals['subscribe']>[0];
type SignalName = Parameters<Listener>[0];

/** argv (without node and script) → exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const signals = listenToSignals(); // Before any other work: PID 1 has no default actions.
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  process.stdout.on('error', quietOnClosedPipe);
  process.stderr.on('error', quietOnClosedPipe);
  const { runProgram } = await import('./cli/program.ts');
  const { open } = await import('./compose.ts');
  return runProgram(argv, {
    version: version(),
    environment: process.env,
    workingDirectory: process.cwd(),
    home: fileURLToPath(new URL('..', import.meta.url)),
    program: [process.execPath, process.argv[1] ?? 'dbkit'],
    terminal: {
      stdin: process.stdin.isTTY === true,
      stdout: process.stdout.isTTY === true,
      stderr: process.stderr.isTTY === true,
      writeOut: (text) => void process.stdout.write(text),
      writeError: (text) => void process.stderr.write(text),
    },
    signals,
    open,
  });
}

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** `dbkit … | head` is no failure. */
function quietOnClosedPipe(cause: NodeJS.ErrnoException): void {
  if (cause.code !== 'EPIPE') throw cause;
}

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
